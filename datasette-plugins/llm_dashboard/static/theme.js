// The theme's button. The choice is a cookie, so the server draws the right page at once.
"use strict";
(() => {
  const button = document.getElementById("theme");
  if (!button) return;
  const root = document.documentElement;
  const dark = () =>
    root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    document.cookie = `llm_theme=${root.dataset.theme}; path=/; max-age=31536000; SameSite=Lax`;
    dispatchEvent(new Event("themechange"));
  });
})();
