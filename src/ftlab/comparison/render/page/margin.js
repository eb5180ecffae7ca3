"use strict";
/* Forest plot of the margin: how far each row is behind the best one (or the reference), with its bounds. */
(() => {
  const { data, css, escapeHtml, axis, layout, draw, short, number, narrow } = ftlab;
  const maxRows = 40; // drawn

  function marginChart(figure, table, hidden) {
    if (!table.margin) return null;
    const { margin } = table;
    const plot = figure.querySelector(".plot"), note = figure.querySelector(".note");
    figure.querySelector("h3").textContent = `Within ${number(margin.margin)} of ${margin.target}`;

    const paint = () => {
      const visible = margin.statements.filter((s) => !hidden.has(s));
      const shown = visible.slice(0, maxRows);
      const names = shown.map((s) => short(s.label, narrow.matches ? 16 : 28));
      const signed = (value) => number(value).replace("-", "−");
      const traces = shown.map((s, index) => {
        const { colour, marker } = data.methods[s.method], bounded = s.low !== null && s.high !== null;
        return {
          x: [s.behind], y: [index], mode: "markers", cliponaxis: false,
          marker: { symbol: s.verdict === "open" ? `${marker}-open` : marker, size: 11, color: colour, line: { width: s.verdict === "open" ? 2 : 0, color: colour } },
          error_x: { type: "data", symmetric: false, array: [bounded ? Math.max(0, s.high - s.behind) : 0], arrayminus: [bounded ? Math.max(0, s.behind - s.low) : 0], visible: bounded, color: colour, thickness: 1.8, width: 5 },
          hovertemplate: `<b>${escapeHtml(s.label)}</b>: ${escapeHtml(s.verdict)}<br>${signed(s.behind)} behind ${escapeHtml(margin.target)}${bounded ? ` [${signed(s.low)}, ${signed(s.high)}]` : ""}${s.needs ? `<br>${escapeHtml(s.needs)}` : ""}<br>about the ${escapeHtml(s.scope)}<extra></extra>`,
        };
      });
      const ends = [0, margin.margin, ...margin.statements.flatMap((s) => [s.behind, s.low ?? s.behind, s.high ?? s.behind])];
      const [low, high] = [Math.min(...ends), Math.max(...ends)], air = (high - low || 1) * 0.06;
      const line = (x, dash) => ({ type: "line", x0: x, x1: x, yref: "paper", y0: 0, y1: 1, line: { color: css("--quiet"), width: 1.2, dash } });
      plot.style.height = `${Math.max(150, 34 * shown.length + 84)}px`;
      draw(plot, traces, layout(
        axis(narrow.matches ? `behind in ${margin.metric}` : `behind ${margin.target} in ${margin.metric}`, { range: [low - air, high + air], nticks: narrow.matches ? 4 : 8 }),
        axis("", { tickvals: names.map((_, index) => index), ticktext: names, range: [shown.length - 0.4, -0.6], showgrid: false, ticks: "", tickfont: { size: 12.5, color: css("--ink") } }),
        { shapes: [line(0, "solid"), line(margin.margin, "dash")] },
      ));
      plot.setAttribute("aria-label", `How far rows are behind ${margin.target} in ${margin.metric}: ` + shown.map((s) => `${s.label} ${signed(s.behind)}, ${s.verdict}`).join("; "));
      note.textContent = `As good: the whole bar is left of the dashed line, the margin. Worse by more: the whole bar is right of it. Open (open marker): neither. Each end of the bars holds for all rows at once at 95 %.` +
        (visible.length > maxRows ? ` The first ${maxRows} of ${visible.length} rows.` : "");
    };
    return paint;
  }

  ftlab.charts.push(["margin", marginChart]);
})();
