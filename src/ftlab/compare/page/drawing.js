"use strict";
/* What all charts share. The numbers come from the page's JSON block; nothing is fetched. */
const ftlab = (() => {
  const data = JSON.parse(document.getElementById("chart-data").textContent);
  const narrow = matchMedia("(max-width: 560px)");
  const dark = matchMedia("(prefers-color-scheme: dark)");

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

  /** Names beside an axis: of long ones both ends, for names of one method begin alike; whole under the pointer. */
  const short = (text, most) => {
    const end = Math.floor((most - 1) / 2);
    return plain(text.length > most ? `${text.slice(0, most - 1 - end)}…${text.slice(-end)}` : text);
  };

  return { data, narrow, dark, css, plain, fade, axis, layout, draw, choose, span, number, measure, short, charts: [] };
})();
