"use strict";
/* Functions shared by all charts. The data is in the page's JSON element; nothing is fetched. */
const ftlab = (() => {
  const data = JSON.parse(document.getElementById("chart-data").textContent);
  const narrow = matchMedia("(max-width: 560px)");
  const dark = matchMedia("(prefers-color-scheme: dark)");

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // Plotly interprets some HTML in its texts, so names from records are escaped.
  const escapeHtml = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const fade = (hex, alpha) => {
    const [r, g, b] = [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
    return `rgba(${r},${g},${b},${alpha})`;
  };

  function axis(title, extra) {
    return {
      title: { text: escapeHtml(title), standoff: 10, font: { size: 13, color: css("--quiet") } },
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
      // On a touch screen, scrolling the page must not zoom the chart.
      dragmode: matchMedia("(pointer: fine)").matches ? "zoom" : false,
      xaxis,
      yaxis,
      ...extra,
    };
  }

  const draw = (plot, traces, plotLayout) =>
    Plotly.react(plot, traces, plotLayout, { displayModeBar: false, responsive: true, doubleClick: "reset" });

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

  /** Ticks of a logarithmic axis: powers of ten, on a short axis also 2 and 5 between them. */
  function logTicks(low, high) {
    const tickvals = [];
    for (let power = Math.floor(low); power <= high; power++) {
      for (const digit of high - low < 2.5 ? [1, 2, 5] : [1]) tickvals.push(Number(`${digit}e${power}`));
    }
    const units = [[1e9, "G"], [1e6, "M"], [1e3, "k"], [0, ""]];
    const ticktext = tickvals.map((value) => {
      const [size, unit] = units.find(([threshold]) => value >= threshold);
      return `${Number((value / (size || 1)).toPrecision(2))}${unit}`;
    });
    return { tickvals, ticktext };
  }

  /** Axis for all values with a margin (a fraction of the range); logarithmic if they span more than a factor of 20. */
  function axisRange(values, margin) {
    const log = Math.min(...values) > 0 && Math.max(...values) / Math.min(...values) > 20;
    const positions = log ? values.map(Math.log10) : values;
    const [low, high] = [Math.min(...positions), Math.max(...positions)];
    const padding = (high - low || Math.abs(high) * 0.2 || 1) * margin;
    const floor = !log && low >= 0 ? Math.max(0, low - padding) : low - padding;
    const width = high + padding - floor;
    const ticks = log ? logTicks(floor, high + padding) : high >= 10 ? {} : { tickformat: width > 0.6 ? ".1f" : width > 0.06 ? ".2f" : ".3f" };
    return { type: log ? "log" : "linear", range: [floor, high + padding], ...ticks };
  }

  const number = (value) => value.toLocaleString("en", Math.abs(value) < 1e5 ? { maximumSignificantDigits: 4 } : { maximumFractionDigits: 0 });
  const measure = (m) => number(m.mean) + (m.sd === null ? "" : ` ± ${number(m.sd)}`);

  /** Name for an axis; of a long one the beginning and the end, as names of one method begin alike. */
  const short = (text, limit) => {
    const end = Math.floor((limit - 1) / 2);
    return escapeHtml(text.length > limit ? `${text.slice(0, limit - 1 - end)}…${text.slice(-end)}` : text);
  };

  return { data, narrow, dark, css, escapeHtml, fade, axis, layout, draw, choose, axisRange, number, measure, short, charts: [] };
})();
