// Accuracy against cost, with the combinations that nothing beats in both.

function drawCost() {
  const body = byId("cost-body");
  const one = core.boards.length ? table() : undefined;
  const offered = core.costs.filter(({ cost }) => one?.costs[cost]);
  if (!offered.length) {
    body.replaceChildren(el("p", { class: "hint" }, "No record says what a cell cost."));
    return;
  }
  const word = offered.find(({ cost }) => cost === state.cost) ?? offered[0];
  const column = scoreColumn();
  const points = one.combinations.map((combination, row) => ({
    combination, label: labelOf(combination), cost: one.costs[word.cost][row], score: column.numbers[row], low: column.ends[row]?.[0], high: column.ends[row]?.[1],
    text: column.texts[row], tail: column.tails[row], isMarked: state.ticked.has(combination) || board().shown.includes(combination), order: row,
  })).filter(({ cost, score }) => cost !== null && score !== null);
  const pick = select("Cost", offered.map(({ cost, name }) => [cost, name]), word.cost, (value) => { state.cost = value; drawCost(); byId("cost-pick").focus(); }, "cost-pick");
  const intro = el("div", { class: "compare-head" }, pick, el("p", { class: "fine" }, `${word.about} Each point is the mean over the runs of a combination.`));
  if (!points.length) {
    body.replaceChildren(intro, el("p", { class: "hint" }, "No combination has both numbers."));
    return;
  }
  const front = paretoFront(points, column.sign);
  const listed = front.slice(0, NUMBERED_FRONT).map(({ label, cost, text, tail }) =>
    el("li", {}, label, el("span", { class: "fine" }, ` ${text}${tail}${unitOf(column)}, ${short(cost)}`)));
  body.replaceChildren(intro, el("div", { class: "beside" }, costChart(points, front, word, column),
    el("div", { class: "front" }, el("h3", {}, "Pareto front"), el("p", { class: "fine" }, "Nothing else is both cheaper and better."), el("ol", {}, listed))));
}

const NUMBERED_FRONT = 20;

/** The points that no other one beats or equals in cost and score, cheapest first. */
function paretoFront(points, sign) {
  const front = [];
  for (const point of points.toSorted((a, b) => a.cost - b.cost || sign * (b.score - a.score)))
    if (!front.length || sign * point.score > sign * front.at(-1).score) front.push(point);
  return front;
}

const unitOf = (column) => (column.unit === "percent" ? " %" : "");

function costChart(points, front, word, column) {
  const costs = points.map(({ cost }) => cost);
  const [least, most] = costs.reduce(([a, b], cost) => [Math.min(a, cost), Math.max(b, cost)], [Infinity, -Infinity]);
  const isLog = least > 0 && most / least > 20;
  const onFront = new Set(front);
  const values = points.map((point) => ({ ...point, shown: point.text + point.tail, front: onFront.has(point), place: front.length <= NUMBERED_FRONT ? front.indexOf(point) + 1 : 0, kind: point.isMarked ? point.label : onFront.has(point) ? "a point on the front" : "another point" }));
  const marked = points.filter(({ isMarked }) => isMarked).map(({ combination }) => combination);
  const unit = unitOf(column);
  const scoreTitle = unit ? `${column.name},${unit}` : column.name;
  const x = { field: "cost", type: "quantitative", title: word.name, scale: isLog ? { type: "log", nice: true } : { zero: false, nice: true, padding: 16 }, axis: { grid: false, tickCount: 6, format: "~s" } };
  const y = { field: "score", type: "quantitative", title: scoreTitle, scale: { zero: false, padding: 12 }, axis: { tickCount: 6 } };
  const tooltip = [{ field: "label", title: "title" }, { field: "shown", title: scoreTitle }, { field: "cost", title: word.name, format: ".3~s" }];
  const spec = (width) => {
    const marks = seriesMarks(marked);
    const byKind = (others, { scale: { domain, range } }) => ({ field: "kind", type: "nominal", legend: null, scale: { domain: ["another point", "a point on the front", ...domain], range: [...others, ...range] } });
    return { width, height: 360, autosize: { type: "fit", contains: "padding" }, data: { values }, layer: [
      { transform: [{ filter: "datum.front" }], mark: { type: "line", interpolate: "step-after", strokeWidth: 1.5, color: themeColor("accent") }, encoding: { x, y, order: { field: "cost" } } },
      ...intervalLayer(values.filter(({ front, isMarked }) => front || isMarked), { x, y: { ...y, field: "low" }, y2: { field: "high" }, color: { value: themeColor("muted") } }),
      { mark: { type: "point", filled: true, opacity: 1, strokeWidth: 1 },
        encoding: { x, y, tooltip, size: { condition: { test: "datum.kind === 'another point'", value: 36 }, value: 80 },
          shape: byKind(["circle", "circle"], marks.shape), color: byKind([themeColor("faint"), themeColor("accent")], marks.color) } },
      { transform: [{ filter: "datum.place" }], mark: { type: "text", dx: -9, dy: -9, fontSize: 12, fontWeight: 600, tooltip: null },
        encoding: { x, y, text: { field: "place" }, color: { value: themeColor("accent") } } },
    ] };
  };
  const listing = front.map(({ label, cost, text }) => `${label} (${short(cost)}, ${text}${unit})`);
  const row = (point) => [point.label, point.text, short(point.cost), onFront.has(point) ? "yes" : ""];
  return chart({
    title: `${column.name} against ${word.name[0].toLowerCase()}${word.name.slice(1)}`,
    says: `Scatter chart of ${pluralised(points.length, "combination")}. On the Pareto front: ${listing.join("; ")}.`,
    spec, canvas: points.length > 1500,
    numbers: () => plainTable("Score and cost of each combination", ["combination", scoreTitle, word.name, "on the front"], [...front, ...points.filter((point) => !onFront.has(point)).slice(0, 500)].map(row)),
  });
}
