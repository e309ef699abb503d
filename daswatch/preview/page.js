// Each panel is asked for on its own, and again every ten seconds; what someone reads, opened or focused stays.
const PADDING = 14; // px of a cell
const LEGIBLE = 160; // px of a column of text, the time's among them
const sections = [...document.querySelectorAll("section[data-source]")];
const state = document.getElementById("state");
const shown = new Map();
let paused = false;
let timer;

// The width at which the widest columns fit next to the others: the narrow ones take theirs, the rest is shared.
function widest(widths, room) {
  let [left, columns] = [room, widths.length];
  for (const width of [...widths].sort((one, other) => one - other)) {
    if (width > left / columns) break;
    [left, columns] = [left - width, columns - 1];
  }
  return left / Math.max(columns, 1);
}

// The widest columns become narrower, all to one width: names only where narrower texts are not enough.
function fit(rows) {
  const table = rows.querySelector("table");
  if (table.offsetWidth <= rows.clientWidth) return;
  const widths = [...table.tHead.rows[0].cells].map((cell) => cell.offsetWidth);
  const contents = [...table.querySelectorAll("td > div")];
  const isText = widths.map(() => false);
  for (const content of contents) isText[content.parentElement.cellIndex] ||= content.textContent.includes(" ");
  const names = widths.reduce((sum, width, at) => sum + (isText[at] ? 0 : width), 0);
  const shared = widest(widths.filter((_, at) => isText[at]), rows.clientWidth - names);
  const onlyTexts = shared >= LEGIBLE;
  const limit = Math.max(onlyTexts ? shared : widest(widths, rows.clientWidth), 60);
  for (const content of contents) {
    const at = content.parentElement.cellIndex;
    if (widths[at] <= limit || (onlyTexts && !isText[at])) continue;
    content.style.width = `${limit - PADDING}px`;
    content.classList.add("narrow", content.textContent.includes(" ") ? "words" : "name");
    content.title = content.textContent;
  }
}

function put(section, html) {
  const content = section.querySelector(".content");
  const scrolled = content.querySelector(".rows")?.scrollTop ?? 0;
  const focused = content.contains(document.activeElement) ? [...content.querySelectorAll("a, summary, .rows")].indexOf(document.activeElement) : -1;
  content.innerHTML = html;
  for (const rows of content.querySelectorAll(".rows")) {
    fit(rows);
    rows.scrollTop = scrolled;
  }
  for (const mark of content.querySelectorAll("svg a > [aria-label]")) {
    const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
    title.textContent = mark.getAttribute("aria-label");
    mark.append(title);
  }
  if (focused >= 0) content.querySelectorAll("a, summary, .rows")[focused]?.focus();
}

async function show(section) {
  const content = section.querySelector(".content");
  if (content.querySelector("details[open]")) return;
  const begun = Date.now();
  const waiting = setInterval(() => (section.dataset.waiting = Math.round((Date.now() - begun) / 1000)), 2000);
  const source = new URL(section.dataset.source, location);
  source.searchParams.set("w", content.clientWidth);
  source.searchParams.set("h", content.clientHeight);
  let html = '<p class="failed" role="alert">The preview does not answer. Is it still running?</p>';
  try {
    html = await (await fetch(source)).text();
  } catch {
    // the sentence above says it
  }
  clearInterval(waiting);
  delete section.dataset.waiting;
  if (shown.get(section) === html || content.querySelector("details[open]")) return;
  shown.set(section, html);
  put(section, html);
}

async function refresh() {
  clearTimeout(timer);
  if (!document.hidden) {
    await Promise.all(sections.map(show));
    state.firstChild.textContent = `Refreshed ${new Date().toISOString().slice(11, 19)} UTC `;
  }
  clearTimeout(timer);
  if (!paused) timer = setTimeout(refresh, 1000 * document.body.dataset.seconds);
}

if (sections.length) {
  const pause = document.createElement("button");
  pause.textContent = "Pause";
  pause.onclick = () => {
    paused = !paused;
    pause.textContent = paused ? "Refresh every 10 s" : "Pause";
    if (paused) clearTimeout(timer);
    else refresh();
  };
  state.append("", pause);
  refresh();
  addEventListener("visibilitychange", () => document.hidden || paused || refresh());
  let resized;
  addEventListener("resize", () => {
    clearTimeout(resized);
    resized = setTimeout(refresh, 300);
  });
}

addEventListener("click", (event) => {
  for (const open of document.querySelectorAll("details[open]")) if (!open.contains(event.target)) open.open = false;
  if (event.target.closest("a") || String(getSelection())) return;
  event.target.closest("tr")?.querySelector("a.open")?.click();
});
addEventListener("keydown", (event) => {
  const open = event.key === "Escape" && document.querySelector("details[open]");
  if (!open) return;
  open.open = false;
  open.querySelector("summary").focus();
});
