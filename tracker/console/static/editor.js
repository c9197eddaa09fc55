// The editor of the catalog: its lines stay numbered while they are typed, and a link
// to one goes there. Without it the lines are numbered as they were loaded.
"use strict";

const area = document.querySelector(".editor textarea");
const gutter = document.querySelector(".editor .gutter");

function renumber() {
  const wanted = area.value.split("\n").length;
  area.rows = wanted;
  while (gutter.childElementCount > wanted) gutter.lastElementChild.remove();
  for (let n = gutter.childElementCount + 1; n <= wanted; n++) {
    const line = document.createElement("span");
    line.id = `L${n}`;
    line.textContent = n;
    gutter.append(line);
  }
}

function goTo(number) {
  const lines = area.value.split("\n");
  const start = lines.slice(0, number - 1).reduce((sum, line) => sum + line.length + 1, 0);
  area.focus({ preventScroll: true });
  area.setSelectionRange(start, start + (lines[number - 1] ?? "").length);
  document.getElementById(`L${number}`)?.scrollIntoView({ block: "center" });
}

area.addEventListener("input", renumber);
document.addEventListener("click", (event) => {
  const line = event.target.closest('.findings a[href^="#L"]');
  if (!line) return;
  event.preventDefault();
  goTo(Number(line.hash.slice(2)));
});
window.addEventListener("beforeunload", (event) => {
  if (area.value !== area.defaultValue && !area.form.dataset.sent) event.preventDefault();
});
area.form.addEventListener("submit", () => (area.form.dataset.sent = "1"));
if (location.hash.startsWith("#L")) goTo(Number(location.hash.slice(2)));
