"use strict";
/* Sorting of tables by a button in each heading (marked by aria-sort); filtering by text, method and status. */
(() => {
  function sortBy(table, column, ascending) {
    const body = table.tBodies[0];
    const key = (row) => {
      const cell = row.cells[column];
      if (row.classList.contains("unfinished") && column > 0) return null; // its single cell has the error instead of values
      if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
      const text = cell.textContent.trim();
      return text === "—" ? null : text;
    };
    const rows = [...body.rows].map((row) => [key(row), row]);
    rows.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null); // rows without a value come last in both directions
      const order = typeof a === "number" ? a - b : a.localeCompare(b);
      return ascending ? order : -order;
    });
    body.append(...rows.map(([, row]) => row));
    [...table.tHead.rows[0].cells].forEach((head, index) => {
      if (index === column) head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
  }

  for (const table of document.querySelectorAll("table.results")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      head.querySelector("button").addEventListener("click", () => {
        sortBy(table, column, head.getAttribute("aria-sort") !== "ascending");
      });
    });
  }

  /** Show only the rows that match the filter; the event `filtered` makes the charts hide the others. */
  function filterRows(section, filter) {
    const rows = [...section.querySelector("table.results").tBodies[0].rows];
    const words = filter.querySelector("input").value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    const wanted = [...filter.querySelectorAll("select")].map((select) => [select.name, select.value]).filter(([, value]) => value);
    let shown = 0;
    const hidden = new Set(), visible = new Set();
    for (const row of rows) {
      const text = row.textContent.toLocaleLowerCase();
      const matches = words.every((word) => text.includes(word)) && wanted.every(([name, value]) => row.dataset[name] === value);
      row.hidden = !matches;
      shown += matches;
      (matches ? visible : hidden).add(row.dataset.row);
    }
    section.filteredOut = new Set([...hidden].filter((label) => !visible.has(label))); // the seeds of a row share its label
    filter.querySelector("output").textContent = shown === rows.length ? `${rows.length} rows` : `${shown} of ${rows.length} rows`;
    section.dispatchEvent(new Event("filtered"));
  }

  for (const section of document.querySelectorAll(".comparison")) {
    const filter = section.querySelector(".filter");
    if (!filter) continue;
    filter.hidden = false; // hidden in the HTML, as it needs this script
    filter.addEventListener("input", () => filterRows(section, filter));
    filter.addEventListener("submit", (event) => event.preventDefault());
    filter.addEventListener("keydown", ({ key, target }) => {
      if (key !== "Escape" || target.tagName !== "INPUT") return;
      target.value = "";
      filterRows(section, filter);
    });
    filter.addEventListener("reset", () => setTimeout(() => filterRows(section, filter)));
  }
})();
