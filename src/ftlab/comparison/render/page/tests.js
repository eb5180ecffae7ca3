"use strict";
/* Forest plot: each row's difference from the reference, with its interval. */
(() => {
  const { data, css, escapeHtml, axis, layout, draw, short, number, narrow } = ftlab;
  const maxRows = 40; // drawn

  function testsChart(figure, table, hidden) {
    if (!table.tests || !table.tests.contrasts.length) return null;
    const { tests } = table;
    const plot = figure.querySelector(".plot"), note = figure.querySelector(".note");
    figure.querySelector("h3").textContent = `Difference from ${tests.reference}`;

    const paint = () => {
      const visible = tests.contrasts.filter((c) => !hidden.has(c));
      const shown = visible.slice(0, maxRows);
      const names = shown.map((c) => short(c.label, narrow.matches ? 16 : 28));
      const signed = (value) => (value > 0 ? "+" : "") + number(value).replace("-", "−");
      const traces = shown.map((c, index) => {
        const { colour, marker } = data.methods[c.method], bar = c.interval;
        return {
          x: [c.difference], y: [index], mode: "markers", cliponaxis: false,
          marker: { symbol: c.different ? marker : `${marker}-open`, size: 11, color: colour, line: { width: c.different ? 0 : 2, color: colour } },
          error_x: { type: "data", symmetric: false, array: [bar ? bar.high - c.difference : 0], arrayminus: [bar ? c.difference - bar.low : 0], visible: bar !== null, color: colour, thickness: 1.8, width: 5 },
          hovertemplate: `<b>${escapeHtml(c.label)}</b> minus ${escapeHtml(tests.reference)}<br>${signed(c.difference)}${bar ? ` [${signed(bar.low)}, ${signed(bar.high)}]` : ""}` +
            `<br>${escapeHtml(c.p)}, ${escapeHtml(c.test)}${c.effect ? `<br>${escapeHtml(c.effect)}` : ""}<br>about the ${escapeHtml(c.scope)}${c.note ? `<br>${escapeHtml(c.note)}` : ""}<extra></extra>`,
        };
      });
      const ends = tests.contrasts.flatMap((c) => [0, c.difference, ...(c.interval ? [c.interval.low, c.interval.high] : [])]);
      const [low, high] = [Math.min(...ends), Math.max(...ends)], air = (high - low || 1) * 0.06;
      plot.style.height = `${Math.max(150, 34 * shown.length + 84)}px`;
      draw(plot, traces, layout(
        axis(`${tests.metric}, row minus ${tests.reference}`, { range: [low - air, high + air], nticks: narrow.matches ? 4 : 8 }),
        axis("", { tickvals: names.map((_, index) => index), ticktext: names, range: [shown.length - 0.4, -0.6], showgrid: false, ticks: "", tickfont: { size: 12.5, color: css("--ink") } }),
        { shapes: [{ type: "line", x0: 0, x1: 0, yref: "paper", y0: 0, y1: 1, line: { color: css("--quiet"), width: 1.2 } }] },
      ));
      plot.setAttribute("aria-label", `Forest plot of the paired differences in ${tests.metric} from ${tests.reference}: ` + shown.map((c) => `${c.label} ${signed(c.difference)}, ${c.p}`).join("; "));
      const kinds = [...new Set(shown.map((c) => c.interval).filter(Boolean).map((i) => `${100 * i.level} % interval (${i.source})`))];
      note.textContent = `Right of the line: ${tests.higher ? "better" : "worse"} than ${tests.reference}. Filled marker: a difference was detected after Holm's correction; open: none was, or none could be tested.` +
        (kinds.length ? ` Bars: ${kinds.join(" or ")} of the difference, not corrected.` : "") + (visible.length > maxRows ? ` The first ${maxRows} of ${visible.length} rows.` : "");
    };
    return paint;
  }

  ftlab.charts.push(["tests", testsChart]);
})();
