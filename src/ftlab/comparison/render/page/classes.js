"use strict";
/* Charts for classification: recall per class of each row, and the confusion matrix of one row. */
(() => {
  const { data, css, escapeHtml, fade, axis, layout, draw, short, narrow } = ftlab;
  const maxRows = 8, maxClasses = 20, colour = "#0072B2";
  const sum = (values) => values.reduce((total, value) => total + value, 0);

  function perClass(figure, table, hidden) {
    if (!table.classes) return null;
    const { labels, rows } = table.classes;
    const plot = figure.querySelector(".plot"), note = figure.querySelector(".note");
    const recall = (row, index) => (sum(row.counts[index]) ? row.counts[index][index] / sum(row.counts[index]) : null);
    // The hardest classes come first, as the rows differ most on them.
    const present = labels.map((_, index) => index).filter((index) => rows.some((row) => sum(row.counts[index])));
    const meanRecall = (index) => sum(rows.map((row) => recall(row, index) ?? 0)) / rows.length;
    const order = present.sort((a, b) => meanRecall(a) - meanRecall(b)).slice(0, maxClasses);

    const paint = () => {
      const visible = rows.filter((row) => !hidden.has(row)), shown = visible.slice(0, maxRows);
      const patterns = ["", "/", ".", "x", "-"], rowsOfMethod = {};
      const traces = shown.map((row) => {
        const shape = patterns[(rowsOfMethod[row.method] = (rowsOfMethod[row.method] ?? -1) + 1) % patterns.length];
        return {
          type: "bar", name: escapeHtml(row.label), x: order.map((_, index) => index), y: order.map((at) => recall(row, at)),
          marker: { color: data.methods[row.method].colour, pattern: { shape, size: 5, fgcolor: css("--page"), fillmode: "overlay" } },
          customdata: order.map((at) => [escapeHtml(labels[at]), row.counts[at][at], sum(row.counts[at])]),
          hovertemplate: `<b>${escapeHtml(row.label)}</b><br>%{customdata[0]}: %{y:.3f} (%{customdata[1]} of %{customdata[2]})<extra></extra>`,
        };
      });
      draw(plot, traces, layout(
        axis("", { tickvals: order.map((_, index) => index), ticktext: order.map((at) => short(labels[at], 14)), showgrid: false, ticks: "" }),
        axis("share of the class that is right", { range: [0, 1] }),
        { barmode: "group", bargap: 0.24, bargroupgap: 0.08 },
      ));
      plot.setAttribute("aria-label", `Bar chart of the share of each class that is right: ${shown.map((row) => row.label).join(", ")}.`);
      const seeds = rows.some((row) => row.seeds > 1);
      note.textContent = `Accuracy per class (recall) on the test split${seeds ? ", the seeds of a row added up" : ""}; hardest classes first.` +
        (present.length > order.length ? ` The ${order.length} hardest of ${present.length} classes.` : "") +
        (visible.length > shown.length ? ` The first ${shown.length} of ${visible.length} rows: filter the table for others.` : "");
    };
    return paint;
  }

  function confusion(figure, table) {
    if (!table.classes) return null;
    const { labels, rows } = table.classes;
    const plot = figure.querySelector(".plot"), note = figure.querySelector(".note"), box = figure.querySelector(".choice");
    const select = document.createElement("select");
    select.setAttribute("aria-label", "Row whose confusion matrix is shown");
    rows.forEach((row, index) => select.append(new Option(row.label, index)));
    box.append(select);

    const paint = () => {
      const row = rows[Number(select.value)];
      const shares = row.counts.map((counts) => counts.map((count) => (sum(counts) ? count / sum(counts) : 0)));
      const numbers = labels.length <= 12;
      const names = labels.map((label) => short(label, narrow.matches ? 9 : 14));
      const positions = labels.map((_, index) => index);
      plot.style.height = `${Math.min(640, Math.max(300, 34 * labels.length + 130))}px`;
      // Each cell is a bar of length 1 that begins at its column: the basic bundle of Plotly has no heat map.
      const cells = row.counts.flatMap((counts, at) => counts.map((count, to) => ({ count, at, to, share: shares[at][to] })));
      draw(plot, [{
        type: "bar", orientation: "h", width: 0.97,
        y: cells.map((cell) => cell.at), base: cells.map((cell) => cell.to - 0.485), x: cells.map(() => 0.97),
        marker: { color: cells.map((cell) => (cell.count ? fade(colour, 0.16 + 0.84 * cell.share) : css("--wash"))) },
        customdata: cells.map((cell) => [cell.count, escapeHtml(labels[cell.at]), escapeHtml(labels[cell.to]), sum(row.counts[cell.at])]),
        hovertemplate: "%{customdata[0]} of %{customdata[3]} with label <b>%{customdata[1]}</b><br>were taken for <b>%{customdata[2]}</b><extra></extra>",
      }], layout(
        axis("prediction", { tickvals: positions, ticktext: names, showgrid: false, ticks: "", range: [-0.5, labels.length - 0.5] }),
        axis("label", { tickvals: positions, ticktext: names, showgrid: false, ticks: "", range: [labels.length - 0.5, -0.5] }),
        { barmode: "overlay", annotations: !numbers ? [] : row.counts.flatMap((counts, at) => counts.map((count, to) => ({
          x: to, y: at, text: String(count), showarrow: false,
          font: { size: 12, color: count === 0 ? css("--quiet") : shares[at][to] > 0.45 ? "#ffffff" : css("--ink") },
        }))) },
      ));
      plot.setAttribute("aria-label", `Confusion matrix of ${row.label}, one line per label: ` + row.counts.slice(0, 12).map((counts, at) => `${labels[at]} ${counts[at]} of ${sum(counts)} right`).join("; "));
      note.textContent = `One line per label, one column per prediction; colour is the share of the label${numbers ? ", the number counts examples" : ""}` +
        (row.seeds > 1 ? `, ${row.seeds} seeds added up.` : ".");
    };
    select.addEventListener("change", paint);
    return paint;
  }

  ftlab.charts.push(["classes", perClass], ["confusion", confusion]);
})();
