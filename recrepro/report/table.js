"use strict";
// Sorting and filtering of tables. Without it the page has all the same content.

const readable = (cell) => cell.innerText.trim();

function key(cell) {
  return cell.dataset.sort === undefined ? readable(cell).toLowerCase() : Number(cell.dataset.sort);
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

function sortBy(table, place) {
  const heads = [...table.tHead.rows[0].cells];
  const head = heads[place];
  // Numbers are read from the largest, words from A.
  const first = head.classList.contains("number") ? "descending" : "ascending";
  const second = first === "descending" ? "ascending" : "descending";
  const order = head.getAttribute("aria-sort") === first ? second : first;
  heads.forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => [key(row.cells[place]), row]);
  const absent = ([value]) => value === "-" || value === -Infinity;
  rows.sort((a, b) => absent(a) - absent(b) || sign * compare(a[0], b[0]));
  body.append(...rows.map(([, row]) => row));
}

function addSorting(table) {
  [...table.tHead.rows[0].cells].forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sortBy(table, place));
    head.replaceChildren(button);
  });
}

function addFilter(box, table) {
  const rows = [...table.tBodies[0].rows];
  if (rows.length < 4) return;
  const line = document.createElement("div");
  const label = document.createElement("label");
  const input = document.createElement("input");
  const count = document.createElement("output");
  line.className = "filter";
  input.type = "search";
  input.id = `${table.id}-filter`;
  label.htmlFor = input.id;
  label.textContent = "Filter rows";
  count.htmlFor = input.id;
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    count.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
  });
  line.append(label, input, count);
  box.prepend(line);
}

for (const box of document.querySelectorAll("[data-tools]")) {
  const table = box.querySelector("table");
  addSorting(table);
  addFilter(box, table);
}
