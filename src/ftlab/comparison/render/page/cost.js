"use strict";
/* Charts of cost: result against cost with intervals and the Pareto front, and a bar chart of the time per phase. */
(() => {
  const { data, css, escapeHtml, fade, axis, layout, draw, choose, axisRange, number, measure, short, narrow } = ftlab;

  /** Text position for the name of each point, at which it overlaps no point, other name or the frame; or null. */
  function placeNames(shown, front, xaxis, yaxis, plot) {
    const width = plot.clientWidth - 70, height = plot.clientHeight - 64;
    const at = (value, axis, length) => { // in pixels
      const position = axis.type === "log" ? Math.log10(value) : value;
      return ((position - axis.range[0]) / (axis.range[1] - axis.range[0])) * length;
    };
    const centres = shown.map((p) => [at(p.x.mean, xaxis, width), height - at(p.y.mean, yaxis, height)]);
    // Boxes that a name must not overlap: the markers and their error bars,
    const taken = shown.flatMap((p, index) => {
      const [x, y] = centres[index];
      const wide = Math.abs(at(p.x.mean + (p.x.sd ?? 0), xaxis, width) - x), high = Math.abs(height - at(p.y.mean + (p.y.sd ?? 0), yaxis, height) - y);
      return [[x - 8, y - 8, x + 8, y + 8], [x - wide, y - 2, x + wide, y + 2], [x - 2, y - high, x + 2, y + high]];
    });
    front.forEach((p, index) => { // and the line of the Pareto front, which goes right, then up
      const [x, y] = [at(p.x.mean, xaxis, width), height - at(p.y.mean, yaxis, height)], next = front[index + 1];
      if (!next) return;
      const [right, up] = [at(next.x.mean, xaxis, width), height - at(next.y.mean, yaxis, height)];
      taken.push([x, y - 1, right, y + 1], [right - 1, Math.min(y, up), right + 1, Math.max(y, up)]);
    });
    return shown.map((point, index) => {
      const [x, y] = centres[index], long = 7.2 * point.label.length;
      if (point.label.length > 30) return null;
      const sides = [
        ["top center", [x - long / 2, y - 26, x + long / 2, y - 9]],
        ["bottom center", [x - long / 2, y + 9, x + long / 2, y + 26]],
        ["top right", [x + 8, y - 24, x + 8 + long, y - 8]],
        ["top left", [x - 8 - long, y - 24, x - 8, y - 8]],
        ["middle right", [x + 10, y - 8, x + 12 + long, y + 8]],
        ["middle left", [x - 12 - long, y - 8, x - 10, y + 8]],
      ];
      for (const [side, box] of sides) {
        if (box[0] < 0 || box[1] < 0 || box[2] > width || box[3] > height) continue;
        if (taken.some((o) => box[0] < o[2] && o[0] < box[2] && box[1] < o[3] && o[1] < box[3])) continue;
        taken.push(box);
        return side;
      }
      return null;
    });
  }

  /** Pareto front of the means, cheapest row first; it does not consider how sure the means are. */
  function paretoFront(drawn, higher) {
    const better = (a, b) => (higher ? a.y.mean > b.y.mean : a.y.mean < b.y.mean);
    const front = [];
    for (const p of [...drawn].sort((a, b) => a.x.mean - b.x.mean || (better(a, b) ? -1 : 1))) {
      if (!front.length || better(p, front[front.length - 1])) front.push(p);
    }
    return front;
  }

  /** Lines through the means of the rows that differ in nothing but the setting of the axis. */
  function settingLines(drawn) {
    const lines = {};
    for (const p of drawn) (lines[p.line] ??= []).push(p);
    return Object.values(lines).filter((points) => points.length > 1).map((points) => {
      const ordered = [...points].sort((a, b) => a.x.mean - b.x.mean);
      return {
        x: ordered.map((p) => p.x.mean), y: ordered.map((p) => p.y.mean), mode: "lines", hoverinfo: "skip",
        line: { color: fade(data.methods[points[0].method].colour, 0.5), width: 1.5 },
      };
    });
  }

  /** Range of the results' axis; the best constant answer is on it unless that would press the rows together. */
  function resultRange(values, baseline) {
    const [low, high] = [Math.min(...values), Math.max(...values)], span = high - low || Math.abs(high) * 0.2;
    const near = baseline && baseline.value >= low - span / 2 && baseline.value <= high + span / 2;
    return axisRange(near ? [...values, baseline.value] : values, 0.16);
  }

  /** Dashed line of the best constant answer, named where no row is near; nothing if it is not on the axis. */
  function baselineTrace(baseline, drawn, xaxis, yaxis) {
    const place = (value, axis) => ((axis.type === "log" ? Math.log10(value) : value) - axis.range[0]) / (axis.range[1] - axis.range[0]);
    const height = baseline ? place(baseline.value, yaxis) : -1;
    if (!(height >= 0 && height <= 1)) return [];
    const near = drawn.filter((p) => Math.abs(place(p.y.mean, yaxis) - height) < 0.12).map((p) => place(p.x.mean, xaxis));
    const left = near.every((x) => x > 0.4), right = !left && near.every((x) => x < 0.6);
    const name = `${short(baseline.label, narrow.matches ? 18 : 40)} ${baseline.text}`;
    return [{
      x: xaxis.range.map((end) => (xaxis.type === "log" ? 10 ** end : end)), y: [baseline.value, baseline.value],
      mode: "lines+text", hoverinfo: "skip", line: { color: css("--quiet"), width: 1.3, dash: "dash" },
      text: right ? ["", name] : [name, ""], textfont: { size: 12, color: css("--quiet") },
      textposition: right ? "top left" : left ? "top right" : height < 0.1 ? "top right" : "bottom right",
    }];
  }

  const result = (p) => measure(p.y) + (p.interval ? ` [${number(p.interval.low)}, ${number(p.interval.high)}]` : "");

  function costChart(figure, table, hidden) {
    const points = table.points.filter((point) => point.value);
    const usable = table.costs.filter((cost) => cost.values.some((value, row) => value && table.points[row].value));
    if (!table.metric || points.length < 2 || !usable.length) return null; // one point is no comparison
    let cost = usable[0];
    const plot = figure.querySelector(".plot"), note = figure.querySelector(".note");
    const heading = (axis) => `${table.metric.label[0].toUpperCase()}${table.metric.label.slice(1)} against ${axis.lines ? axis.label : "cost"}`;

    const paint = () => {
      const all = table.points.map((point, row) => ({ ...point, x: cost.values[row], y: point.value, line: cost.lines?.[row] })).filter((p) => p.x && p.y);
      const visible = all.filter((p) => !hidden.has(p));
      const ends = (m) => m.seeds.filter((v) => v !== null).concat(m.mean - (m.sd ?? 0), m.mean + (m.sd ?? 0));
      // The error bar of a result is its interval if there is one; otherwise, as for a cost, the standard deviation.
      const barEnds = (p) => (p.interval ? [p.interval.low, p.interval.high] : ends(p.y));
      // The axes do not change when methods are hidden. A zero (a method that trains nothing) cannot be drawn on a
      // logarithmic axis and is named below the chart.
      let xs = all.flatMap((p) => ends(p.x)).filter((x) => x >= 0);
      const positive = all.filter((p) => p.x.mean > 0).flatMap((p) => ends(p.x)).filter((x) => x > 0);
      if (positive.length && axisRange(positive, 0).type === "log") xs = positive;
      const xaxis = axisRange(xs, 0.12), yaxis = resultRange(all.flatMap((p) => [...barEnds(p), ...p.y.seeds.filter((v) => v !== null)]), table.baseline);
      const drawn = visible.filter((p) => xaxis.type === "linear" || p.x.mean > 0);
      const bars = (p, axis) => ({ array: [p[axis].sd ?? 0], visible: p[axis].sd !== null, thickness: 1.2, width: 3, color: fade(data.methods[p.method].colour, 0.7) });
      const interval = (p) => (!p.interval ? bars(p, "y") : { ...bars(p, "y"), symmetric: false, array: [p.interval.high - p.y.mean], arrayminus: [p.y.mean - p.interval.low], visible: true });
      const front = cost.lines ? [] : paretoFront(drawn, table.metric.higher);
      const chance = (p) => cost.chances[p.label], per100 = (share) => `${Math.round(100 * share)} %`;
      const names = drawn.length <= 16 ? placeNames(drawn, front, xaxis, yaxis, plot) : drawn.map(() => null);
      const line = {
        x: front.map((p) => p.x.mean), y: front.map((p) => p.y.mean), mode: "lines", hoverinfo: "skip",
        line: { shape: "hv", color: css("--quiet"), width: 1.3, dash: "dot" },
      };
      const traces = drawn.flatMap((p, index) => {
        const { colour, marker } = data.methods[p.method];
        const single = p.y.seeds.length < 2;
        const seeds = { x: p.x.seeds, y: p.y.seeds, mode: "markers", hoverinfo: "skip", marker: { symbol: marker, size: 6, color: fade(colour, 0.3) } };
        const mean = {
          x: [p.x.mean], y: [p.y.mean], mode: names[index] ? "markers+text" : "markers", cliponaxis: false,
          text: [escapeHtml(p.label)], textposition: names[index] ?? "top center", textfont: { size: 13, color: css("--ink") },
          marker: { symbol: marker, size: 12, color: colour, line: { width: 1.5, color: css("--page") } },
          error_x: bars(p, "x"), error_y: interval(p), name: escapeHtml(p.label),
          hovertemplate: `<b>${escapeHtml(p.label)}</b><br>${escapeHtml(table.metric.label)}: ${result(p)}<br>${escapeHtml(cost.axis)}: ${measure(p.x)}` +
            `<br>${single ? "1 seed" : `${p.y.seeds.length} seeds; ±: standard deviation`}` +
            (chance(p) === undefined ? "" : `<br>on the front in ${per100(chance(p))} of draws`) + "<extra></extra>",
        };
        return single ? [mean] : [seeds, mean];
      });
      if (front.length > 1) traces.unshift(line);
      if (cost.lines) traces.unshift(...settingLines(drawn));
      const constant = baselineTrace(table.baseline, drawn, xaxis, yaxis);
      traces.unshift(...constant);
      figure.querySelector("h3").textContent = heading(cost);
      const si = cost.label === "trainable parameters" ? { tickformat: "~s" } : {};
      draw(plot, traces, layout(axis(cost.axis, { ...xaxis, ...si }), axis(`${table.metric.label} (${table.metric.higher ? "higher" : "lower"} is better)`, yaxis)));
      plot.setAttribute("aria-label", `Scatter chart of ${table.metric.label} against ${cost.label}; the table above holds the same numbers.`);
      const absent = points.filter((p) => !hidden.has(p) && !drawn.some((d) => d.label === p.label)).map((p) => p.label);
      const several = drawn.some((p) => p.y.seeds.length > 1), anyInterval = drawn.find((p) => p.interval)?.interval;
      const bar = anyInterval ? `${100 * anyInterval.level} % interval of the result` : "one standard deviation each way";
      const spread = (several ? `Large marker: mean; bars: ${bar}${anyInterval ? ", and of the cost one standard deviation each way" : ""}; small markers: single seeds.` : `One marker per configuration, one seed each${anyInterval ? `; bars: ${bar}` : ""}.`) +
        (front.length > 1 ? " Dotted: no row shown is both better and cheaper than one on this line, by the means alone." : "");
      // The chances were computed with all rows, so they do not hold while rows are hidden.
      const maybeOnFront = all.length === drawn.length ? drawn.filter((p) => !front.includes(p) && chance(p) >= 0.05) : [];
      const frontNote = maybeOnFront.length ? ` Within what seeds and examples leave open these may be on it too: ${maybeOnFront.map((p) => `${p.label} (${per100(chance(p))} of draws)`).join(", ")}.` : "";
      const constantNote = !table.baseline ? "" : constant.length ? " Dashed: the best constant answer." : ` Not on this axis: ${table.baseline.label}, the best constant answer (${table.baseline.text}).`;
      note.textContent = spread + frontNote + constantNote + (xaxis.type === "log" ? " Logarithmic horizontal axis." : "") +
        (yaxis.type === "log" ? " Logarithmic vertical axis." : " The vertical axis does not begin at zero.") + (absent.length ? ` Not on this axis: ${absent.join(", ")}.` : "");
    };
    choose(figure.querySelector(".choice"), "Horizontal axis", usable.map((c) => (c.lines ? c.label : c.label === "trainable parameters" ? "parameters" : c.label.split(" ").pop())), (index) => {
      cost = usable[index];
      paint();
    });
    return paint;
  }

  // ---- Where the time went ------------------------------------------------------------------------------------

  const maxBars = 40;

  function timesChart(figure, table, hidden) {
    const { unit, parts, rows } = table.times;
    if (!rows.length) return null;
    const plot = figure.querySelector(".plot"), note = figure.querySelector(".note");

    const paint = () => {
      const visible = rows.filter((row) => !hidden.has(row)), shown = visible.slice(0, maxBars);
      const names = shown.map((row) => short(row.label, narrow.matches ? 16 : 28));
      // The colour is that of the method, as in all charts; opacity and pattern distinguish the phases.
      const styles = { "set-up": ["", 0.3], training: ["", 1], evaluation: ["/", 0.55], search: [".", 0.2] };
      const traces = parts.map((part) => ({
        type: "bar", orientation: "h", name: part, y: shown.map((_, index) => index), x: shown.map((row) => row.seconds[part] ?? null),
        marker: { color: shown.map((row) => fade(data.methods[row.method].colour, styles[part][1])), pattern: { shape: styles[part][0], size: 5, fgcolor: css("--page"), fillmode: "overlay" } },
        text: shown.map((row) => escapeHtml(row.label)), textposition: "none",
        hovertemplate: `<b>%{text}</b><br>${part}: %{x:.4~g} ${unit}<extra></extra>`,
      }));
      plot.style.height = `${Math.max(150, 30 * shown.length + 84)}px`;
      draw(plot, traces, layout(
        axis(`time per run${parts.includes("search") ? ", and of its search" : ""} (${unit})`, { rangemode: "tozero" }),
        axis("", { tickvals: names.map((_, index) => index), ticktext: names, range: [shown.length - 0.4, -0.6], showgrid: false, ticks: "", tickfont: { size: 12.5, color: css("--ink") } }),
        { barmode: "stack", bargap: 0.35 },
      ));
      plot.setAttribute("aria-label", `Bar chart of the ${parts.join(", ")} time of each row.`);
      note.textContent = "Left to right: set-up (pale), training (full colour), evaluation (hatched); mean over the seeds. Set-up and evaluation are no part of the training time in the table." +
        (parts.includes("search") ? " Last, dotted: all trials of the search for the row's learning rate, failed ones included, told once for all its seeds." : "") +
        (visible.length > maxBars ? ` The first ${maxBars} of ${visible.length} rows: filter the table for others.` : "");
    };
    return paint;
  }

  ftlab.charts.push(["cost", costChart], ["times", timesChart]);
})();
