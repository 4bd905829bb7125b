// What is ticked, side by side: differences, accuracy of each class, learning curves, confusion matrices.

const NAMED_CLASSES = 20;
let comparing = 0;

async function drawCompare() {
  const mine = ++comparing;
  const body = byId("compare-body");
  const one = core.boards.length ? detailTable() : undefined;
  if (!one || !state.ticked.size) {
    body.replaceChildren(el("p", { class: "hint" }, "Tick rows of the table to see them side by side."));
    return;
  }
  const chosen = [...state.ticked].map((combination) => ({ combination, label: labelOf(combination), row: rowOf(one, combination) }));
  const there = chosen.filter(({ row }) => row !== null);
  for (const series of there) [series.lines, series.matrix] = await Promise.all([linesOf(series.row), matrixOf(series.row)]);
  if (mine !== comparing) return; // something else was ticked meanwhile
  const classes = classesOf(one);
  const parts = [chosenDifferences(table()), compareHead(one, chosen)];
  const byClass = there.filter(({ lines }) => lines?.accuracy.some((value) => value !== null));
  if (byClass.length) parts.push(headToTail(classes, byClass));
  const curves = there.filter(({ lines }) => lines?.epoch.length);
  if (curves.length) parts.push(el("div", { class: "pair" }, learningCurve(curves, "train_loss", "Training loss"), learningCurve(curves, "train_accuracy", "Training accuracy, %")));
  parts.push(...matrices(classes, there));
  const lacking = chosen.filter((series) => !byClass.includes(series));
  if (lacking.length) parts.push(el("p", { class: "hint" }, `No numbers by class in this file: ${lacking.map(({ label }) => label).join("; ")}.`));
  body.replaceChildren(...parts.filter(Boolean));
}

/** The differences of the ticked rows of a table, computed where the file was made; nothing for a single row. */
function chosenDifferences(one) {
  const { rows, texts, p, runs } = one.differences;
  const ticked = one.combinations.map((_, row) => row).filter((row) => state.ticked.has(one.combinations[row]));
  const name = (row) => labelOf(one.combinations[row]);
  const pairs = ticked.flatMap((upper, i) => ticked.slice(i + 1).map((lower) => [upper, lower]));
  const lines = pairs.map(([upper, lower]) => {
    const [a, b] = [rows.indexOf(upper), rows.indexOf(lower)];
    if (a < 0 || b < 0) return [name(upper), name(lower), one.ranks[upper] && one.ranks[lower] ? "not in this file" : "no number", "", ""];
    const pair = a * rows.length - (a * (a + 1)) / 2 + b - a - 1; // of the pairs in order: 0 with 1, 0 with 2, …
    return [name(upper), name(lower), texts[pair] || "no run in common", p[pair], runs[pair]];
  });
  if (!lines.length) return null;
  const where = one.factor === null ? "over all imbalance factors" : `at ${one.place}`;
  return el("div", { class: "differences" },
    plainTable(`Differences in ${board().ranking.words} ${where}${board().ranking.unit === "percent" ? ", in points" : ""}`, ["combination", "minus", "difference", "p", "runs"], lines),
    el("p", { class: "fine" }, "± or the two ends: simultaneous 95 % interval, as in the table and by ", el("code", {}, "ltbench compare"),
      `. * where it leaves out zero.${lines.some((line) => line[2] === "not in this file") ? " Lower rows of a long table are left out to keep this file small." : ""}`));
}

function compareHead(one, chosen) {
  const single = board().tables.filter((each) => each.factor !== null);
  const pick = table().factor === null && single.length > 1
    ? select("Imbalance factor", single.map((each) => [each.factor, each.name]), one.factor, (value) => { state.compared = Number(value); drawCompare(); }, "compared")
    : el("p", { class: "fine" }, capitalised(one.place));
  return el("div", { class: "compare-head" }, pick, el("ul", { class: "chips", "aria-label": "Colours and markers" }, chosen.map(({ combination }) => chip(combination, false))));
}

function headToTail(classes, series) {
  const { names, counts, size } = classes;
  const grouped = size > 1;
  const values = series.flatMap(({ label, lines }) => lines.accuracy.map((accuracy, place) => ({ label, place, name: names[place], accuracy, count: counts[place] })));
  const named = names.length <= NAMED_CLASSES;
  const half = named ? 0 : Math.max(1, Math.floor(names.length / 24));
  const tooltip = [{ field: "label", title: "title" }, { field: "name", title: grouped ? "classes" : "class" }, { field: "count", title: grouped ? "training images of a class" : "training images", format: "," }, { field: "accuracy", title: "accuracy, %", format: ".1f" }];
  const x = (axis) => ({ field: "place", type: named ? "ordinal" : "quantitative", axis, scale: named ? { paddingOuter: 0.3 } : { domain: [-1, names.length], nice: false } });
  const y = { field: "accuracy", type: "quantitative", title: "accuracy, %", scale: { domain: [0, 100] }, axis: { minExtent: 44, maxExtent: 44, tickCount: 5 } };
  const smooth = [{ window: [{ op: "mean", field: "accuracy", as: "smoothed" }], frame: [-half, half], groupby: ["label"], sort: [{ field: "place" }] }];
  const layers = ({ color, shape, dash }) => [
    { ...(named ? {} : { transform: smooth }), mark: { type: "line", strokeWidth: 2, invalid: "break-paths-show-domains" },
      encoding: { x: x(null), y: named ? y : { ...y, field: "smoothed" }, color, strokeDash: dash } },
    { mark: { type: "point", filled: true, size: named ? 56 : 14, opacity: named ? 1 : 0.45 }, encoding: { x: x(null), y, color, ...(named ? { shape } : {}), tooltip } },
  ];
  const marks = () => seriesMarks(series.map(({ combination }) => combination));
  const lowest = Math.max(0.5, Math.min(...counts) / 2);
  const highest = Math.max(...counts, 1);
  const below = names.map((name, place) => ({ place, name, count: Math.max(counts[place], lowest), images: counts[place] }));
  const nameAxis = { title: null, labelAngle: -35, labelExpr: "names[datum.value]", labelLimit: 110, ticks: false, domain: false };
  const spec = (width) => ({
    params: [{ name: "names", value: names }],
    vconcat: [
      { width: width - 84, height: 260, data: { values }, layer: layers(marks()) },
      ...(counts.length ? [{
        width: width - 84, height: 70, data: { values: below },
        mark: named ? { type: "bar", color: themeColor("faint"), width: { band: 0.7 } } : { type: "area", interpolate: "step", color: themeColor("faint") },
        encoding: {
          x: x(named ? nameAxis : { title: `${names.length} ${grouped ? `groups of ${size} classes` : "classes"}, from most to fewest training images`, tickCount: 8, grid: false, tickMinStep: 1, labelFlush: true }),
          y: { field: "count", type: "quantitative", title: ["training", "images"], scale: { type: "log", domain: [lowest, highest * 1.2], nice: false }, axis: { minExtent: 44, maxExtent: 44, values: [1, 10, 100, 1000, 10000, 100000, 1000000].filter((value) => value >= lowest && value <= highest), format: "~s", grid: false, ticks: false, domain: false } },
          y2: { datum: lowest },
          tooltip: [{ field: "name", title: "title" }, { field: "images", title: "training images", format: "," }],
        },
      }] : []),
    ],
    spacing: 12,
  });
  const extremes = series.map(({ label, lines }) => `${label} from ${percentText(lines.accuracy[0])} at the head to ${percentText(lines.accuracy.at(-1))} at the tail`);
  return chart({
    title: `Accuracy of each ${grouped ? `group of ${size} classes` : "class"}, from head to tail${half ? ` (dots, and their moving mean over ${2 * half + 1} ${grouped ? "groups" : "classes"})` : ""}`,
    says: `Line chart of the accuracy of ${grouped ? `${names.length} groups of ${size} classes` : pluralised(names.length, "class", "classes")}: ${extremes.join("; ")}.`,
    spec,
    numbers: () => plainTable(grouped ? "Mean accuracy of each group of classes in %" : "Accuracy of each class in %", [grouped ? "classes" : "class", grouped ? "training images of a class" : "training images", ...series.map(({ label }) => label)],
      names.map((name, i) => [name, counts[i]?.toLocaleString("en"), ...series.map(({ lines }) => percentText(lines.accuracy[i]))])),
  });
}

const percentText = (value) => (value === null || value === undefined ? "–" : value.toFixed(1));

function learningCurve(series, field, title) {
  const values = series.flatMap(({ label, lines }) => lines.epoch.map((epoch, i) => ({ label, epoch, value: lines[field][i] ?? null })));
  const tooltip = [{ field: "label", title: "title" }, { field: "epoch" }, { field: "value", title, format: ".3~r" }];
  const marks = () => seriesMarks(series.map(({ combination }) => combination));
  const spec = (width) => ({
    width, height: 240, autosize: { type: "fit", contains: "padding" }, data: { values },
    layer: [
      { mark: { type: "line", strokeWidth: 2 }, encoding: { strokeDash: marks().dash } },
      { mark: { type: "point", filled: true, size: 18, opacity: 0.6 }, encoding: { tooltip } },
    ],
    encoding: {
      x: { field: "epoch", type: "quantitative", title: "epoch", axis: { grid: false, tickMinStep: 1 }, scale: { nice: false } },
      y: { field: "value", type: "quantitative", title: null, scale: { zero: false }, axis: { tickCount: 5 } },
      color: marks().color,
    },
  });
  const last = series.map(({ label, lines }) => `${label} ends at ${short(lines[field].at(-1))}`);
  return chart({
    title, says: `Line chart over epochs: ${last.join("; ")}.`, spec,
    numbers: () => plainTable(title, ["combination, epoch", "value"], values.map(({ label, epoch, value }) => [`${label}, ${short(epoch)}`, short(value)])),
  });
}
