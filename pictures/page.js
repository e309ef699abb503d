// What a table has too much of goes: its widest columns become narrower, all to one width, and its last rows are taken
// away until the others fit as a whole. The foot tells how many there are in all.
const PADDING = 14; // px of a cell

// The width at which the widest columns fit beside the others: the narrow ones take theirs, the rest is shared.
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

  if (table.offsetWidth > rows.clientWidth) {
    const widths = [...table.tHead.rows[0].cells].map((cell) => cell.offsetWidth);
    const limit = widest(widths, rows.clientWidth);
    for (const content of table.querySelectorAll("td > div")) {
      if (widths[content.parentElement.cellIndex] <= limit) continue;
      content.style.width = `${limit - PADDING}px`;
      content.classList.add("narrow", content.textContent.includes(" ") ? "words" : "name");
    }
  }

  const tell = () => {
    if (body.rows.length < total) foot.textContent = `1–${body.rows.length} of ${total.toLocaleString("en")}`;
  };
  tell();
  while (body.rows.length > 1 && rows.scrollHeight > rows.clientHeight) {
    body.deleteRow(-1);
    tell();
  }
}
