// What a table has too much of goes: its last rows are taken away until the others fit as a whole, and its widest
// columns become narrower, all to one width: names only where narrower texts are not enough. The footer has the number of rows
// there are in all.
const PADDING = 14; // px of a cell
const LEGIBLE = 160; // px of a column of text, the time's among them

// The width at which the widest columns fit next to the others: the narrow ones take theirs, the rest is shared.
function widest(widths, room) {
  let [left, columns] = [room, widths.length];
  for (const width of [...widths].sort((one, other) => one - other)) {
    if (width > left / columns) break;
    [left, columns] = [left - width, columns - 1];
  }
  return left / Math.max(columns, 1);
}

for (const rows of document.querySelectorAll(".rows")) {
  const table = rows.querySelector("table");
  const [body, foot, total] = [table.tBodies[0], rows.nextElementSibling, Number(rows.dataset.total)];

  const count = () => {
    if (body.rows.length < total) foot.textContent = `1–${body.rows.length} of ${total.toLocaleString("en")}`;
  };
  const shorten = () => {
    count();
    while (body.rows.length > 1 && rows.scrollHeight > rows.clientHeight) {
      body.deleteRow(-1);
      count();
    }
  };

  shorten(); // first: no column is as wide as a row needs that is not shown
  if (table.offsetWidth > rows.clientWidth) {
    const widths = [...table.tHead.rows[0].cells].map((cell) => cell.offsetWidth);
    const contents = [...table.querySelectorAll("td > div")];
    const isText = widths.map(() => false);
    for (const content of contents) isText[content.parentElement.cellIndex] ||= content.textContent.includes(" ");
    const names = widths.reduce((sum, width, at) => sum + (isText[at] ? 0 : width), 0);
    const shared = widest(widths.filter((_, at) => isText[at]), rows.clientWidth - names);
    const onlyTexts = shared >= LEGIBLE;
    const limit = onlyTexts ? shared : widest(widths, rows.clientWidth);
    for (const content of contents) {
      const at = content.parentElement.cellIndex;
      if (widths[at] <= limit || (onlyTexts && !isText[at])) continue;
      content.style.width = `${limit - PADDING}px`;
      content.classList.add("narrow", content.textContent.includes(" ") ? "words" : "name");
    }
  }
  shorten(); // again: some rows are of two lines now
}
