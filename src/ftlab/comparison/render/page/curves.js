"use strict";
/* Learning curves: mean and band over the seeds of a row, or one line per run. */
(() => {
  const { data, css, escapeHtml, fade, axis, layout, draw, choose, axisRange } = ftlab;

  /** Mean, lowest and highest of the seeds of each row, at the steps that all of them logged. */
  function bands(curves, name) {
    const rows = new Map();
    for (const curve of curves) if (curve.seeds) rows.set(curve.label, [...(rows.get(curve.label) ?? []), curve]);
    return [...rows].flatMap(([label, members]) => {
      if (members.length < 2) return [];
      const lines = members.map(({ series }) => series[name]);
      const indexOfStep = lines.map((line) => new Map(line.steps.map((step, index) => [step, index])));
      const steps = lines[0].steps.filter((step) => indexOfStep.every((indices) => indices.has(step)));
      if (steps.length < 2) return []; // too few common steps: the runs are drawn one by one
      const values = steps.map((step) => lines.map((line, index) => line.values[indexOfStep[index].get(step)]));
      const mean = (numbers) => numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
      const { method, dash } = members[0];
      return [{
        label, method, dash, members, steps,
        seconds: lines.every((line) => line.seconds) ? steps.map((step) => mean(lines.map((line, index) => line.seconds[indexOfStep[index].get(step)]))) : null,
        mean: values.map(mean), low: values.map((v) => Math.min(...v)), high: values.map((v) => Math.max(...v)),
      }];
    });
  }

  function curvesChart(figure, table, hidden) {
    if (!table.series.length) return null;
    const plot = figure.querySelector(".plot"), note = figure.querySelector(".note");
    const timed = table.curves.every((curve) => Object.values(curve.series).every((line) => line.seconds));
    let name = table.series[0], time = false, together = true;
    const several = table.curves.some((a, at) => a.seeds && table.curves.some((b, to) => to > at && b.seeds && b.label === a.label));

    const paint = () => {
      const curves = table.curves.filter((curve) => curve.series[name] && !hidden.has(curve));
      const banded = together && several ? bands(curves, name) : [];
      const inBand = new Set(banded.flatMap((band) => band.members));
      const alone = curves.filter((curve) => !inBand.has(curve));
      const marked = alone.length + banded.length <= 8;
      const label = time ? "training time: %{x:.1f} s" : "step: %{x:,}";
      const traces = banded.flatMap((band) => {
        const { colour, marker } = data.methods[band.method], x = time ? band.seconds : band.steps;
        const ends = { mode: "lines", line: { width: 0 }, hoverinfo: "skip" };
        return [
          { x, y: band.low, ...ends },
          { x, y: band.high, ...ends, fill: "tonexty", fillcolor: fade(colour, 0.16) },
          {
            x, y: band.mean, mode: marked && x.length <= 40 ? "lines+markers" : "lines",
            line: { color: colour, width: 2, dash: band.dash }, marker: { symbol: marker, size: 6, color: colour },
            customdata: band.low.map((low, at) => [low, band.high[at]]),
            hovertemplate: `<b>${escapeHtml(band.label)}</b>, ${band.members.length} seeds<br>${label}<br>${escapeHtml(name)}: %{y:.4~g}, from %{customdata[0]:.4~g} to %{customdata[1]:.4~g}<extra></extra>`,
          },
        ];
      }).concat(alone.map((curve) => {
        const line = curve.series[name], { colour, marker } = data.methods[curve.method];
        const failed = curve.status !== "completed";
        return {
          x: time ? line.seconds : line.steps, y: line.values, mode: marked && line.values.length <= 40 ? "lines+markers" : "lines",
          line: { color: fade(colour, failed ? 0.6 : curves.length > 12 ? 0.7 : 1), width: 1.8, dash: curve.dash },
          marker: { symbol: marker, size: 6, color: colour },
          hovertemplate: `<b>${escapeHtml(curve.label)}</b>, seed ${curve.seed}${failed ? `, ${escapeHtml(curve.status)}` : ""}<br>${label}<br>${escapeHtml(name)}: %{y:.4~g}<extra></extra>`,
        };
      }));
      const values = table.curves.flatMap((curve) => curve.series[name]?.values ?? []);
      const yaxis = axisRange(values, 0.06);
      draw(plot, traces, layout(axis(time ? "training time (s)" : "optimizer step", { rangemode: "tozero" }), axis(name, yaxis)));
      plot.setAttribute("aria-label", `Line chart of ${name} over ${time ? "training time" : "optimizer steps"}${banded.length ? ", the seeds of a row together" : ", one line per run"}.`);
      const dashes = new Set(curves.map((curve) => curve.dash)).size > 1;
      note.textContent = (banded.length ? "Line: mean of the seeds; band: from the lowest to the highest of them. Runs without a result are thin lines of their own." : "One line per run; the seeds of a method share its colour.") + (dashes ? " Dashes tell configurations of a method apart; point at a line for its name." : "") +
        (yaxis.type === "log" ? " Logarithmic vertical axis." : "");
    };
    const box = figure.querySelector(".choice");
    choose(box, "Quantity", table.series, (index) => { name = table.series[index]; paint(); });
    if (several) choose(box, "Seeds", ["seeds together", "each run"], (index) => { together = index === 0; paint(); });
    if (timed) choose(box, "Horizontal axis", ["step", "time"], (index) => { time = index === 1; paint(); });
    return paint;
  }

  ftlab.charts.push(["curves", curvesChart]);
})();
