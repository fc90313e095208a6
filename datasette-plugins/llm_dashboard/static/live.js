// The latest calls and today's cards, every two seconds while somebody looks.
"use strict";
(() => {
  const { live, seen } = document.currentScript.dataset;
  const feed = document.getElementById("feed");
  const cards = document.getElementById("cards");
  const sign = document.getElementById("live");
  const identities = () => new Set([...feed.rows].map((row) => row.dataset.id));
  let signature = seen;

  const show = (state) => {
    sign.hidden = false;
    sign.textContent = state;
    sign.classList.toggle("stopped", state !== "live");
  };

  const apply = (answer) => {
    signature = answer.signature;
    if (!answer.changed) return;
    const known = identities();
    feed.innerHTML = answer.calls;
    cards.innerHTML = answer.cards;
    for (const row of feed.rows) row.classList.toggle("fresh", !known.has(row.dataset.id));
  };

  const ask = async () => {
    if (document.visibilityState !== "visible") return;
    try {
      const answer = await fetch(`${live}?seen=${signature}`, { headers: { accept: "application/json" } });
      if (answer.status === 403) return show("logged out");
      if (!answer.ok) throw new Error(answer.statusText);
      apply(await answer.json());
      show("live");
    } catch {
      show("connection lost");
    }
  };

  show("live");
  setInterval(ask, 2000);
  document.addEventListener("visibilitychange", ask);
})();
