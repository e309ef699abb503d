// Whole rows only: the last ones go until the rest fits, and the foot tells how many there are in all.
for (const rows of document.querySelectorAll(".rows")) {
  const body = rows.querySelector("tbody");
  const total = Number(rows.dataset.total);
  const foot = rows.nextElementSibling;
  const tell = () => {
    if (body.rows.length < total) foot.textContent = `1–${body.rows.length} of ${total.toLocaleString("en")}`;
  };
  tell();
  while (body.rows.length > 1 && rows.scrollHeight > rows.clientHeight) {
    body.deleteRow(-1);
    tell();
  }
}
