"use strict";
/* Charts and their legends. The numbers come from the page's JSON block; nothing is fetched. */
(() => {
  const data = JSON.parse(document.getElementById("chart-data").textContent);
  const narrow = matchMedia("(max-width: 560px)");
  const dark = matchMedia("(prefers-color-scheme: dark)");

  // ---- Charts: what they share --------------------------------------------------------------------------------

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // Plotly reads a little HTML in its texts: names from records are shown as they are.
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const fade = (hex, alpha) => {
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    return `rgba(${r},${g},${b},${alpha})`;
  };

  function axis(title, extra) {
    return {
      title: { text: plain(title), standoff: 10, font: { size: 13, color: css("--quiet") } },
      gridcolor: css("--line"),
      linecolor: css("--quiet"),
      zeroline: false,
      ticks: "outside",
      ticklen: 4,
      tickcolor: css("--line"),
      tickfont: { size: 12, color: css("--quiet") },
      automargin: true,
      ...extra,
    };
  }

  function layout(xaxis, yaxis, extra) {
    return {
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: css("--ink") },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 56, r: 12, t: 12, b: 48 },
      showlegend: false,
      hovermode: "closest",
      hoverlabel: { bgcolor: css("--page"), bordercolor: css("--line"), font: { color: css("--ink"), size: 13 }, align: "left", namelength: -1 },
      // A finger that scrolls the page must not zoom the chart.
      dragmode: matchMedia("(pointer: fine)").matches ? "zoom" : false,
      xaxis,
      yaxis,
      ...extra,
    };
  }

  const draw = (plot, traces, shape) =>
    Plotly.react(plot, traces, shape, { displayModeBar: false, responsive: true, doubleClick: "reset" });

  let choices = 0;
  function choose(box, legend, options, changed) {
    if (options.length < 2) return;
    const set = document.createElement("fieldset");
    const name = `choice-${choices++}`;
    const caption = document.createElement("legend");
    caption.textContent = legend;
    set.append(caption);
    options.forEach((text, index) => {
      const label = document.createElement("label");
      const input = document.createElement("input");
      Object.assign(input, { type: "radio", name, value: index, checked: index === 0 });
      input.addEventListener("change", () => changed(index));
      label.append(input, text);
      set.append(label);
    });
    box.append(set);
  }

  /** Ticks of a logarithmic axis: powers of ten, with 2 and 5 between them where there is room. */
  function decades(low, high) {
    const tickvals = [];
    for (let power = Math.floor(low); power <= high; power++) {
      for (const digit of high - low < 2.5 ? [1, 2, 5] : [1]) tickvals.push(Number(`${digit}e${power}`));
    }
    const units = [[1e9, "G"], [1e6, "M"], [1e3, "k"], [0, ""]];
    const ticktext = tickvals.map((value) => {
      const [size, unit] = units.find(([least]) => value >= least);
      return `${Number((value / (size || 1)).toPrecision(2))}${unit}`;
    });
    return { tickvals, ticktext };
  }

  /** Range that holds all values with some air; logarithmic where they span more than a factor of 20. */
  function span(values, air) {
    const log = Math.min(...values) > 0 && Math.max(...values) / Math.min(...values) > 20;
    const on = log ? values.map(Math.log10) : values;
    const [low, high] = [Math.min(...on), Math.max(...on)];
    const room = (high - low || Math.abs(high) * 0.2 || 1) * air;
    const floor = !log && low >= 0 ? Math.max(0, low - room) : low - room;
    const width = high + room - floor;
    const ticks = log ? decades(floor, high + room) : high >= 10 ? {} : { tickformat: width > 0.6 ? ".1f" : width > 0.06 ? ".2f" : ".3f" };
    return { type: log ? "log" : "linear", range: [floor, high + room], ...ticks };
  }

  const number = (value) => value.toLocaleString("en", Math.abs(value) < 1e5 ? { maximumSignificantDigits: 4 } : { maximumFractionDigits: 0 });
  const measure = (m) => number(m.mean) + (m.sd === null ? "" : ` ± ${number(m.sd)}`);

  // ---- Result against cost ------------------------------------------------------------------------------------

  /** Names beside the points, each on the first side where it meets neither a point, a name nor the frame. */
  function placeNames(shown, xaxis, yaxis, plot) {
    const width = plot.clientWidth - 70, height = plot.clientHeight - 64;
    const at = (value, shape, length) => {
      const on = shape.type === "log" ? Math.log10(value) : value;
      return ((on - shape.range[0]) / (shape.range[1] - shape.range[0])) * length;
    };
    const centres = shown.map((p) => [at(p.x.mean, xaxis, width), height - at(p.y.mean, yaxis, height)]);
    // In the way of a name: the markers and their error bars.
    const taken = shown.flatMap((p, index) => {
      const [x, y] = centres[index];
      const wide = Math.abs(at(p.x.mean + (p.x.sd ?? 0), xaxis, width) - x), high = Math.abs(height - at(p.y.mean + (p.y.sd ?? 0), yaxis, height) - y);
      return [[x - 8, y - 8, x + 8, y + 8], [x - wide, y - 2, x + wide, y + 2], [x - 2, y - high, x + 2, y + high]];
    });
    return shown.map((point, index) => {
      const [x, y] = centres[index], long = 7.2 * point.label.length;
      if (point.label.length > 30) return null;
      const sides = [
        ["top center", [x - long / 2, y - 26, x + long / 2, y - 9]],
        ["bottom center", [x - long / 2, y + 9, x + long / 2, y + 26]],
        ["top right", [x + 6, y - 24, x + 6 + long, y - 7]],
        ["top left", [x - 6 - long, y - 24, x - 6, y - 7]],
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

  function costChart(figure, table, hidden) {
    const points = table.points.filter((point) => point.value);
    const usable = table.costs.filter((cost) => cost.values.some((value, row) => value && table.points[row].value));
    if (!table.metric || !usable.length) return null;
    let cost = usable[0];
    const plot = figure.querySelector(".plot"), note = figure.querySelector(".note");
    figure.querySelector("h3").textContent = `${table.metric.label[0].toUpperCase()}${table.metric.label.slice(1)} against cost`;

    const paint = () => {
      const all = table.points.map((point, row) => ({ ...point, x: cost.values[row], y: point.value })).filter((p) => p.x && p.y);
      const visible = all.filter((p) => !hidden.has(p.method));
      const ends = (m) => m.seeds.filter((v) => v !== null).concat(m.mean - (m.sd ?? 0), m.mean + (m.sd ?? 0));
      // Axes stay while methods are switched off and on. A zero (a method that trains nothing) has no place on a
      // logarithmic axis: it is named below the chart.
      let xs = all.flatMap((p) => ends(p.x)).filter((x) => x >= 0);
      const positive = all.filter((p) => p.x.mean > 0).flatMap((p) => ends(p.x)).filter((x) => x > 0);
      if (positive.length && span(positive, 0).type === "log") xs = positive;
      const xaxis = span(xs, 0.12), yaxis = span(all.flatMap((p) => ends(p.y)), 0.16);
      const drawn = visible.filter((p) => xaxis.type === "linear" || p.x.mean > 0);
      const names = drawn.length <= 16 ? placeNames(drawn, xaxis, yaxis, plot) : drawn.map(() => null);
      const bars = (p, axis) => ({ array: [p[axis].sd ?? 0], visible: p[axis].sd !== null, thickness: 1.2, width: 3, color: fade(data.methods[p.method].colour, 0.7) });
      const traces = drawn.flatMap((p, index) => {
        const { colour, marker } = data.methods[p.method];
        const single = p.y.seeds.length < 2;
        const seeds = { x: p.x.seeds, y: p.y.seeds, mode: "markers", hoverinfo: "skip", marker: { symbol: marker, size: 6, color: fade(colour, 0.3) } };
        const mean = {
          x: [p.x.mean], y: [p.y.mean], mode: names[index] ? "markers+text" : "markers", cliponaxis: false,
          text: [plain(p.label)], textposition: names[index] ?? "top center", textfont: { size: 13, color: css("--ink") },
          marker: { symbol: marker, size: 12, color: colour, line: { width: 1.5, color: css("--page") } },
          error_x: bars(p, "x"), error_y: bars(p, "y"), name: plain(p.label),
          hovertemplate: `<b>${plain(p.label)}</b><br>${plain(table.metric.label)}: ${measure(p.y)}<br>${plain(cost.axis)}: ${measure(p.x)}` +
            `<br>${single ? "1 seed" : `${p.y.seeds.length} seeds, mean ± standard deviation`}<extra></extra>`,
        };
        return single ? [mean] : [seeds, mean];
      });
      const si = cost.label === "trainable parameters" ? { tickformat: "~s" } : {};
      draw(plot, traces, layout(axis(cost.axis, { ...xaxis, ...si }), axis(`${table.metric.label} (${table.metric.higher ? "higher" : "lower"} is better)`, yaxis)));
      plot.setAttribute("aria-label", `Scatter chart of ${table.metric.label} against ${cost.label}; the table above holds the same numbers.`);
      const absent = points.filter((p) => !hidden.has(p.method) && !drawn.some((d) => d.label === p.label)).map((p) => p.label);
      const spread = drawn.some((p) => p.y.sd !== null) ? "Large marker: mean, with one standard deviation each way; small markers: single seeds." : "One marker per configuration, one seed each.";
      note.textContent = spread + (xaxis.type === "log" ? " Logarithmic horizontal axis." : "") +
        (yaxis.type === "log" ? " Logarithmic vertical axis." : " The vertical axis does not begin at zero.") + (absent.length ? ` Not on this axis: ${absent.join(", ")}.` : "");
    };
    choose(figure.querySelector(".choice"), "Horizontal axis", usable.map((c) => (c.label === "trainable parameters" ? "parameters" : c.label.split(" ").pop())), (index) => {
      cost = usable[index];
      paint();
    });
    return paint;
  }

  // ---- Learning curves ----------------------------------------------------------------------------------------

  function curvesChart(figure, table, hidden) {
    if (!table.series.length) return null;
    const plot = figure.querySelector(".plot"), note = figure.querySelector(".note");
    const timed = table.curves.every((curve) => Object.values(curve.series).every((line) => line.seconds));
    let name = table.series[0], time = false;

    const paint = () => {
      const curves = table.curves.filter((curve) => curve.series[name] && !hidden.has(curve.method));
      const traces = curves.map((curve) => {
        const line = curve.series[name], { colour, marker } = data.methods[curve.method];
        const failed = curve.status !== "completed";
        return {
          x: time ? line.seconds : line.steps, y: line.values, mode: line.values.length <= 40 && curves.length <= 8 ? "lines+markers" : "lines",
          line: { color: fade(colour, failed ? 0.6 : curves.length > 12 ? 0.7 : 1), width: 1.8, dash: curve.dash },
          marker: { symbol: marker, size: 6, color: colour },
          hovertemplate: `<b>${plain(curve.label)}</b>, seed ${curve.seed}${failed ? `, ${curve.status}` : ""}<br>${time ? "training time: %{x:.1f} s" : "step: %{x:,}"}<br>${plain(name)}: %{y:.4~g}<extra></extra>`,
        };
      });
      const values = table.curves.flatMap((curve) => curve.series[name]?.values ?? []);
      const yaxis = span(values, 0.06);
      draw(plot, traces, layout(axis(time ? "training time (s)" : "optimizer step", { rangemode: "tozero" }), axis(name, yaxis)));
      plot.setAttribute("aria-label", `Line chart of ${name} over ${time ? "training time" : "optimizer steps"}, one line per run.`);
      const dashes = new Set(curves.map((curve) => curve.dash)).size > 1;
      note.textContent = "One line per run; the seeds of a method share its colour." + (dashes ? " Dashes tell configurations of a method apart; point at a line for its name." : "") +
        (yaxis.type === "log" ? " Logarithmic vertical axis." : "");
    };
    const box = figure.querySelector(".choice");
    choose(box, "Quantity", table.series, (index) => { name = table.series[index]; paint(); });
    if (timed) choose(box, "Horizontal axis", ["step", "time"], (index) => { time = index === 1; paint(); });
    return paint;
  }

  // ---- Each comparison: drawn when it comes into view ---------------------------------------------------------

  const repaint = new Set();
  const first = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      first.unobserve(target);
      start(target);
    }
  }, { rootMargin: "600px" });

  function start(section) {
    section.dataset.started = "yes";
    const table = data.tables[Number(section.dataset.table)];
    const hidden = new Set();
    const paints = [["cost", costChart], ["curves", curvesChart]].flatMap(([kind, make]) => {
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
      const on = hidden.delete(method);
      if (!on) hidden.add(method);
      button.setAttribute("aria-pressed", String(on));
      paints.forEach((paint) => paint());
    });
    for (const paint of paints) {
      paint();
      repaint.add(paint);
    }
  }

  const repaintAll = () => repaint.forEach((paint) => paint());
  dark.addEventListener("change", repaintAll);
  narrow.addEventListener("change", repaintAll);
  for (const section of document.querySelectorAll(".comparison")) first.observe(section);
  addEventListener("beforeprint", () => {
    for (const section of document.querySelectorAll(".comparison")) {
      first.unobserve(section);
      if (!section.dataset.started) start(section);
    }
  });
})();
