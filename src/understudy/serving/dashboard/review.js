// The keyboard of the review: a key presses the button that names it. Everything works without this file.
(() => {
  "use strict";
  let isSent = false;
  const other = document.getElementById("other");

  document.addEventListener("submit", (event) => {
    // A key held down must not judge the next call too.
    if (isSent) event.preventDefault();
    isSent = true;
  });
  window.addEventListener("pageshow", () => { isSent = false; });

  if (other) {
    other.addEventListener("toggle", () => {
      if (other.open) other.querySelector("select, input:not([type=hidden]), textarea")?.focus();
    });
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.isComposing) return;
    if (event.key === "Escape" && other?.open) {
      other.open = false;
      document.activeElement?.blur();
      return;
    }
    if (event.target.closest("input, select, textarea")) return;
    const named = document.querySelector(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
    if (named) {
      event.preventDefault();
      named.click();
    }
  });
})();
