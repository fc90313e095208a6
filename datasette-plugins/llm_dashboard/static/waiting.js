// The empty overview: becomes the real one with the first call.
"use strict";
(() => {
  const url = document.currentScript.dataset.live;
  setInterval(async () => {
    if (document.visibilityState !== "visible") return;
    try {
      const answer = await fetch(`${url}?seen=`, { headers: { accept: "application/json" } });
      if (answer.ok && (await answer.json()).changed) location.reload();
    } catch { /* the dashboard is restarting: the next round asks again */ }
  }, 2000);
})();
