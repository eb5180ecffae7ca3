"use strict";
/* Starts the charts of a table when they come into view; its legend and the table's filter hide rows in all of them. */
(() => {
  const { data, narrow, dark } = ftlab;
  const repaint = new Set();
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      observer.unobserve(target);
      start(target);
    }
  }, { rootMargin: "600px" });

  function start(section) {
    section.dataset.started = "yes";
    const table = data.tables[Number(section.dataset.table)];
    const methods = new Set();
    const hidden = { has: (row) => methods.has(row.method) || section.filteredOut?.has(row.label) };
    const paints = ftlab.charts.flatMap(([kind, make]) => {
      const figure = section.querySelector(`[data-chart=${kind}]`);
      const paint = make(figure, table, hidden);
      if (!paint) return [];
      figure.hidden = false;
      figure.querySelector(".plot").setAttribute("role", "img");
      return [paint];
    });
    const legend = section.querySelector(".legend");
    legend.hidden = !paints.length || legend.children.length < 2;
    legend.addEventListener("click", ({ target }) => {
      const button = target.closest("button");
      if (!button) return;
      const method = button.dataset.method;
      const on = methods.delete(method);
      if (!on) methods.add(method);
      button.setAttribute("aria-pressed", String(on));
      paints.forEach((paint) => paint());
    });
    let timer = 0;
    section.addEventListener("filtered", () => {
      clearTimeout(timer); // while someone types, only the last key redraws the charts
      timer = setTimeout(() => paints.forEach((paint) => paint()), 150);
    });
    for (const paint of paints) {
      paint();
      repaint.add(paint);
    }
  }

  const repaintAll = () => repaint.forEach((paint) => paint());
  dark.addEventListener("change", repaintAll);
  narrow.addEventListener("change", repaintAll);
  for (const section of document.querySelectorAll(".comparison")) observer.observe(section);
  addEventListener("beforeprint", () => {
    for (const section of document.querySelectorAll(".comparison")) {
      observer.unobserve(section);
      if (!section.dataset.started) start(section);
    }
  });
})();
