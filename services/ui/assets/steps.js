// ← and → step through the worklist, unless the keys belong to a field.
document.addEventListener("keydown", function (event) {
  if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const typed = "input:not([type=checkbox]):not([type=file]), textarea, select, [role=radiogroup], [role=listbox]";
  if (event.target.closest && event.target.closest(typed)) return;
  const items = Array.from(document.querySelectorAll(".worklist-item"));
  if (!items.length) return;
  const at = items.findIndex((item) => item.classList.contains("active"));
  const next = items[at < 0 ? 0 : at + (event.key === "ArrowRight" ? 1 : -1)];
  if (next) { event.preventDefault(); next.click(); }
});

// Who chose a layout with the mouse goes on stepping with the arrows; who came by keyboard stays in the field.
document.addEventListener("pointerup", function (event) {
  const field = event.target.closest && event.target.closest(".controls");
  if (field) setTimeout(() => document.activeElement && document.activeElement.closest("[role=radiogroup]") && document.activeElement.blur(), 50);
});

// The chosen recording stays in sight within its list; the page itself is not moved.
window.dash_clientside = Object.assign({}, window.dash_clientside, {
  worklist: {
    follow: function () {
      requestAnimationFrame(function () {
        const list = document.getElementById("worklist");
        const active = list && list.querySelector(".active");
        if (!active || list.dataset.shown === active.getAttribute("href")) return;
        list.dataset.shown = active.getAttribute("href");
        const box = list.getBoundingClientRect(), item = active.getBoundingClientRect();
        if (item.top < box.top) list.scrollTop -= box.top - item.top;
        if (item.bottom > box.bottom) list.scrollTop += item.bottom - box.bottom;
      });
      return window.dash_clientside.no_update;
    },
  },
});

// The upload component leaves its file field without a name; its own words are the name.
new MutationObserver(function () {
  document.querySelectorAll(".drop input[type=file]:not([aria-label])").forEach(function (field) {
    field.setAttribute("aria-label", field.closest(".drop").querySelector("strong").textContent);
  });
}).observe(document.documentElement, { childList: true, subtree: true });
