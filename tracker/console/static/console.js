// What pages do beyond what HTML does by itself; without it every page still works.
"use strict";

// ------------------------------------------------------------------------ charts

// A chart is drawn from the table beside it, so that both say the same. The first
// column holds times; of the others those with data-scale, left or right, are drawn.

const seconds = (cell) => Date.parse(cell.querySelector("time").dateTime) / 1000;
const figure = (cell) => (cell.dataset.value === "" ? null : Number(cell.dataset.value));

function readTable(table) {
  const heads = [...table.tHead.rows[0].cells].filter((head) => head.dataset.scale);
  const rows = [...table.tBodies[0].rows];
  const columns = heads.map((head) => rows.map((row) => figure(row.cells[head.cellIndex])));
  return { heads, data: [rows.map((row) => seconds(row.cells[0])), ...columns] };
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  const named = (name) => style.getPropertyValue(name).trim();
  return {
    lines: [named("--line-1"), named("--line-2"), named("--warn")],
    text: named("--pico-muted-color"),
    grid: named("--pico-muted-border-color"),
  };
}

function short(value) {
  return Intl.NumberFormat("en", { notation: "compact" }).format(value);
}

const DAY = 86400;

function timeOf(at, zone, step) {
  const day = { timeZone: zone, dateStyle: "medium" };
  const format = step >= DAY ? day : { ...day, timeStyle: "short" };
  return Intl.DateTimeFormat("en-GB", format).format(at * 1000);
}

// Days by month and day, hours by the clock: no country's own order of the two.
function timeLabel(at, step) {
  const two = (number) => String(number).padStart(2, "0");
  return step < DAY
    ? `${two(at.getHours())}:${two(at.getMinutes())}`
    : `${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

function options(chart, heads, step, width) {
  const { lines, text, grid } = colours();
  const zone = chart.dataset.zone;
  const axis = { stroke: text, grid: { stroke: grid, width: 1 }, ticks: { show: false } };
  const least = step >= DAY ? [DAY, 2 * DAY, 7 * DAY, 14 * DAY] : [3600, 7200, 10800, 21600];
  const values = (_, ticks) => ticks.map((one) => (one === null ? "" : short(one)));
  const isRight = (head) => head.dataset.scale === "right";
  const tzDate = (at) => uPlot.tzDate(new Date(at * 1e3), zone);
  const times = (_, ticks) => ticks.map((tick) => timeLabel(tzDate(tick), step));
  const axes = [{ ...axis, values: times, incrs: least }, { ...axis, values }];
  if (heads.some(isRight)) {
    axes.push({ ...axis, values, scale: "right", side: 1, grid: { show: false } });
  }
  // From nothing, or a small change would look like a large one.
  const range = (_, least, most) => [Math.min(0, least), most > 0 ? most * 1.05 : 1];
  return {
    width,
    height: 240,
    tzDate,
    scales: { y: { range }, right: { range } },
    axes,
    series: [
      { label: "Time", value: (_, at) => (at ? timeOf(at, zone, step) : "") },
      ...heads.map((head, n) => ({
        label: head.textContent.trim(),
        value: (_, one) => (one === null ? "" : one.toLocaleString("en")),
        scale: isRight(head) ? "right" : "y",
        stroke: lines[n % lines.length],
        dash: n % 2 ? [6, 3] : undefined,
        width: 2,
      })),
    ],
  };
}

function draw(chart) {
  const table = chart.querySelector("details table"); // The drawing has one too.
  const place = chart.querySelector(".drawing");
  if (!window.uPlot || !table || !table.tBodies[0].rows.length) return;
  const { heads, data } = readTable(table);
  place.replaceChildren();
  const step = data[0].length > 1 ? data[0][1] - data[0][0] : DAY;
  const wanted = options(chart, heads, step, place.clientWidth);
  const plot = new uPlot(wanted, data, place);
  new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height: 240 }))
    .observe(place);
}

function drawAll() {
  document.querySelectorAll(".chart").forEach(draw);
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);

// ----------------------------------------------------------------------- copying

function offerCopying(button) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = document.querySelector(button.dataset.copy);
    await navigator.clipboard.writeText(source.value ?? source.textContent);
    const label = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = label), 1500);
  });
}

// --------------------------------------------------------------------- the keys

// "/" finds, "?" lists the keys, "g" and a letter goes to a room, "j" and "k" go from
// row to row.

const isTyping = (target) => target.closest("input, textarea, select, [contenteditable]");

let wasG = false;

function go(letter) {
  document.querySelector(`nav a[data-key="${CSS.escape(letter)}"]`)?.click();
}

function step(by) {
  const links = [...document.querySelectorAll("tbody tr")]
    .map((row) => row.querySelector("a, button"))
    .filter(Boolean);
  const here = links.findIndex((link) => link.closest("tr").contains(document.activeElement));
  links[Math.max(0, Math.min(links.length - 1, here + by))]?.focus();
}

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  const afterG = wasG;
  wasG = event.key === "g" && !afterG;
  if (afterG) return go(event.key);
  if (event.key === "j") step(1);
  if (event.key === "k") step(-1);
  if (event.key === "?") document.querySelector("#keys")?.showModal();
  if (event.key === "/") {
    event.preventDefault();
    document.querySelector(".find input")?.focus();
  }
}

document.addEventListener("keydown", press);

// --------------------------------------------------------------------- the start

function begin(root) {
  root.querySelectorAll("button[data-copy]").forEach(offerCopying);
}

drawAll();
begin(document);
document.addEventListener("htmx:load", (event) => {
  if (event.target !== document.body) begin(event.target);
});
