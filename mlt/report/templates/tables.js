"use strict";
// Sorts and filters tables.

function cellKey(row, column) {
  const cell = row.cells[column];
  return cell.dataset.v === undefined ? null : Number(cell.dataset.v);
}

function sortBy(table, column, descending) {
  const sign = descending ? -1 : 1;
  const rows = [...table.tBodies[0].rows];
  const numeric = rows.some((row) => cellKey(row, column) !== null);
  rows.sort((a, b) => {
    if (!numeric) {
      return sign * a.cells[column].textContent.localeCompare(b.cells[column].textContent);
    }
    const [x, y] = [cellKey(a, column), cellKey(b, column)];
    if (x === null || y === null) return (x === null) - (y === null); // undefined ones last
    return sign * (x - y);
  });
  table.tBodies[0].append(...rows);
}

for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      // Numbers are first looked at from the top, names from A.
      const first = head.classList.contains("number") ? "descending" : "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      const now = before === first ? other : first;
      for (const each of heads) each.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", now);
      sortBy(table, column, now === "descending");
    });
  });
}

function filter(id) {
  const rows = [...document.getElementById(id).tBodies[0].rows];
  const words = document.querySelector(`[data-filter="${id}"]`).value.trim().toLowerCase();
  const boxes = [...document.querySelectorAll(`[data-group="${id}"]`)];
  const hidden = new Set(boxes.filter((box) => !box.checked).map((box) => box.value));
  let count = 0;
  for (const row of rows) {
    const named = [...row.cells].some(
      (cell) => !cell.classList.contains("number") && cell.textContent.toLowerCase().includes(words)
    );
    const group = row.querySelector(".dot");
    row.hidden = !named || (group !== null && hidden.has(group.parentElement.textContent));
    count += !row.hidden;
  }
  const all = count === rows.length ? "" : ` of ${rows.length}`;
  document.querySelector(`[data-count="${id}"]`).textContent = `${count}${all} rows`;
}

for (const field of document.querySelectorAll("[data-filter], [data-group]")) {
  const id = field.dataset.filter ?? field.dataset.group;
  field.addEventListener(field.type === "search" ? "input" : "change", () => filter(id));
}
