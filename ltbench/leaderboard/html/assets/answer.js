// The figure beside the answer, and what the answer does not say of the shown table.

/** Draw the combinations that the page speaks of: over the imbalance factors, or side by side where there is one. */
function drawFigure() {
  const place = byId("figure");
  if (place.dataset.board === String(state.board)) return;
  place.dataset.board = String(state.board);
  const single = board().tables.filter(({ factor }) => factor !== null);
  const column = single.map((one) => one.columns.find(({ score }) => score === board().ranking.score));
  const { unit, name, sign } = column[0];
  const series = board().shown.map((combination) => ({
    combination, label: labelOf(combination), short: core.combinations[combination].short,
    points: single.map(({ combinations }, i) => {
      const row = combinations.indexOf(combination);
      if (row < 0) return { value: null, text: "–" };
      const { numbers, ends, texts, tails } = column[i];
      return { value: numbers[row], low: ends[row]?.[0], high: ends[row]?.[1], text: texts[row] + tails[row] };
    }),
  })).filter(({ points }) => points.some(({ value }) => value !== null));
  if (!series.length) return place.replaceChildren();
  const last = ({ points }) => sign * (points.at(-1).value ?? -Infinity);
  series.sort((a, b) => last(b) - last(a));
  const axis = unit === "percent" ? `${name}, %` : name;
  const several = single.length > 1;
  const title = `${name} ${several ? "by imbalance factor" : `at ${single[0].place}`}`;
  const sure = series.some(({ points }) => points.some(({ low }) => low !== undefined)) ? ", mean with its 95 % interval" : "";
  place.replaceChildren(chart({
    title: el("span", {}, title, el("span", { class: "fine" }, sure)),
    says: `${several ? "Line" : "Dot"} chart. ${series.map(({ label, points }) => `${label}: ${points.map(({ text }, i) => `${text}${several ? ` at ${single[i].name}` : ""}`).join(", ")}`).join("; ")}.`,
    spec: several ? factorLines(single.map(({ factor }) => factor), series, axis) : rowDots(series, axis),
    legend: several ? el("ul", { class: "legend" }, series.map(({ combination, label, short }) => el("li", { title: label }, markOf(combination), short))) : null,
    numbers: () => plainTable(title, ["combination", ...single.map((one) => (several ? `IF ${one.name}` : axis))], series.map(({ label, points }) => [label, ...points.map(({ text }) => text)])),
  }));
}

const pointTip = (axis) => [{ field: "label", title: "title" }, { field: "text", title: axis }];
/** The layer of intervals; none where no point has one, as with one run. */
const intervalLayer = (points, encoding) => {
  const values = points.filter(({ low }) => low !== undefined);
  return values.length ? [{ data: { values }, mark: { type: "rule", strokeWidth: 1.5 }, encoding }] : [];
};

function factorLines(factors, series, axis) {
  const [low, high] = [Math.log(factors[0]), Math.log(factors.at(-1))];
  const nearest = Math.min(...factors.slice(1).map((factor, i) => Math.log(factor / factors[i])));
  const step = Math.min(0.014 * (high - low), nearest / (series.length + 1));
  const margin = Math.exp(0.03 * (high - low) + (step * series.length) / 2);
  // Side by side, so that no interval hides another one.
  const values = series.flatMap(({ label, points }, s) => points.flatMap((point, i) =>
    (point.value === null ? [] : [{ ...point, label, x: factors[i] * Math.exp(step * (s - (series.length - 1) / 2)) }])));
  return (width) => {
    const { color, shape, dash } = seriesMarks(series.map(({ combination }) => combination));
    return {
      width, height: width < 400 ? 210 : 270, autosize: { type: "fit", contains: "padding" }, data: { values },
      encoding: {
        x: { field: "x", type: "quantitative", title: "imbalance factor (log scale)", scale: { type: "log", domain: [factors[0] / margin, factors.at(-1) * margin], nice: false }, axis: { values: factors, format: "~g", grid: false, labelOverlap: true } },
        y: { field: "value", type: "quantitative", title: axis, scale: { zero: false }, axis: { tickCount: 5 } }, color,
      },
      layer: [
        ...intervalLayer(values, { y: { field: "low", type: "quantitative" }, y2: { field: "high" } }),
        { mark: { type: "line", strokeWidth: 2 }, encoding: { strokeDash: dash } },
        { mark: { type: "point", filled: true, size: 70, opacity: 1 }, encoding: { shape, tooltip: pointTip(axis) } },
      ],
    };
  };
}

/** A label in lines of at most so many characters, where its techniques allow that. */
function broken(label, most) {
  const lines = [""];
  for (const [i, part] of label.split(" + ").entries()) {
    const text = i ? `+ ${part}` : part;
    if (lines.at(-1) && lines.at(-1).length + text.length >= most) lines.push(text);
    else lines[lines.length - 1] = `${lines.at(-1)} ${text}`.trim();
  }
  return lines;
}

function rowDots(series, axis) {
  const values = series.map(({ combination, label, short, points: [point] }) => ({ ...point, label, short, combination }));
  const reference = values.filter(({ combination }) => isReference(combination));
  return (width) => {
    const { color, shape } = seriesMarks(series.map(({ combination }) => combination));
    const room = Math.round(width * (width < 400 ? 0.5 : 0.42));
    const lines = Object.fromEntries(values.map(({ short }) => [short, broken(short, Math.floor(room / 6.6))]));
    const most = Math.max(...Object.values(lines).map((one) => one.length));
    return {
      params: [{ name: "lines", value: lines }],
      width, height: 40 + (16 + 14 * most) * values.length, autosize: { type: "fit", contains: "padding" }, data: { values },
      encoding: {
        x: { field: "value", type: "quantitative", title: axis, scale: { zero: false, padding: 10 }, axis: { tickCount: 5 } },
        y: { field: "short", type: "nominal", sort: null, title: null, axis: { domain: false, ticks: false, labelExpr: "lines[datum.value]", labelLimit: room } }, color,
      },
      layer: [
        ...(reference.length ? [{ data: { values: reference }, mark: { type: "rule", strokeDash: [2, 3] }, encoding: { y: null } }] : []),
        ...intervalLayer(values, { x: { field: "low", type: "quantitative" }, x2: { field: "high" } }),
        { mark: { type: "point", filled: true, size: 90, opacity: 1 }, encoding: { shape, tooltip: pointTip(axis) } },
      ],
    };
  };
}

function drawBest() {
  const { best, facts, factor, place } = table();
  const where = factor === null ? "over all imbalance factors" : `at ${place}`;
  const said = [best ? `Best ${where}: ${best}` : "", facts.length ? `${facts.join(", ")}.` : ""].filter(Boolean);
  byId("best").hidden = !said.length;
  byId("best").textContent = said.join(" ");
}
