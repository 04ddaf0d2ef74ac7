// ← and → step through the worklist, unless the keys belong to a field.
document.addEventListener("keydown", function (event) {
  if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const field = event.target.closest && event.target.closest("input, textarea, select, [role=radiogroup], [role=listbox]");
  if (field) return;
  const items = Array.from(document.querySelectorAll(".worklist-item"));
  if (!items.length) return;
  const at = items.findIndex((item) => item.classList.contains("active"));
  const next = items[at < 0 ? 0 : at + (event.key === "ArrowRight" ? 1 : -1)];
  if (next) { event.preventDefault(); next.click(); next.scrollIntoView({ block: "nearest" }); }
});
