// Confusion matrices side by side, in one scale of colours.

const NUMBERED_CLASSES = 12;
const LISTED_CONFUSIONS = 40;

function matrices(classes, series) {
  const there = series.filter(({ matrix }) => matrix);
  if (!there.length) return [];
  const left = series.filter(({ matrix, lines }) => !matrix && lines);
  return [
    el("h3", {}, "Confusion matrices"),
    el("p", { class: "fine" }, "Each row is a true class, each column a predicted one, from head to tail; in percent of the test images of the true class."),
    el("div", { class: "matrices" }, there.map((one) => matrixChart(classes, one))),
    ...(left.length ? [el("p", { class: "hint" }, `Left out to keep this file small, and in records.jsonl: ${left.map(({ label }) => label).join("; ")}.`)] : []),
  ];
}

function matrixChart(classes, { combination, label, matrix }) {
  const { images, size, runs } = matrix;
  const { names } = classes;
  const values = images.flatMap((row, t) => {
    const total = row.reduce((a, b) => a + b, 0);
    return row.map((number, p) => ({ t, p, number, share: total ? (100 * number) / total : 0, truth: names[t], predicted: names[p] }));
  });
  const named = names.length <= NAMED_CLASSES + 8;
  const axis = named
    ? { title: null, labelExpr: "names[datum.value]", labelLimit: 84, ticks: false, domain: false, labelFontSize: 11 }
    : { title: size === 1 ? `${names.length} classes` : `groups of ${size} classes`, labels: false, ticks: false, domain: false };
  const spec = (width) => {
    const side = Math.min(width - (named ? 92 : 40), 420);
    const encoding = {
      x: { field: "p", type: "ordinal", axis: { ...axis, ...(named ? { labelAngle: -45 } : { title: `predicted, ${axis.title}` }) } },
      y: { field: "t", type: "ordinal", axis: { ...axis, ...(named ? {} : { title: `true, ${axis.title}` }) } },
    };
    return {
      params: [{ name: "names", value: names }], data: { values }, width: side, height: side,
      layer: [
        { mark: { type: "rect", ...(named ? { stroke: themeColor("surface"), strokeWidth: 1 } : {}) },
          encoding: { ...encoding, color: { field: "share", type: "quantitative", legend: null, scale: { type: "sqrt", domain: [0, 100], range: [themeColor("sunken"), themeColor("matrix")] } },
            tooltip: [{ field: "truth", title: "true" }, { field: "predicted" }, { field: "number", title: "images", format: "," }, { field: "share", title: "% of the class", format: ".1f" }] } },
        ...(names.length <= NUMBERED_CLASSES ? [{
          transform: [{ filter: "datum.share >= 0.5" }], mark: { type: "text", fontSize: 11, tooltip: null },
          encoding: { ...encoding, text: { field: "share", format: ".0f" }, color: { condition: { test: "datum.share > 25", value: themeColor("on-matrix") }, value: themeColor("text") } } }] : []),
      ],
    };
  };
  const wrong = values.filter(({ t, p, number }) => t !== p && number).sort((a, b) => b.share - a.share || a.t - b.t || a.p - b.p);
  const worst = wrong.slice(0, 3).map(({ truth, predicted, share }) => `${truth} as ${predicted} ${share.toFixed(0)} %`);
  return chart({
    title: el("span", {}, markOf(combination), ` ${label}`, el("span", { class: "fine" }, ` · ${pluralised(runs, "run")}`)),
    says: `Confusion matrix of ${label} over ${names.length} ${size === 1 ? "classes" : "groups of classes"}. Most frequent confusions: ${worst.join("; ") || "none"}.`,
    spec, canvas: !named,
    numbers: () => names.length <= NUMBERED_CLASSES
      ? plainTable("Test images by true class (row) and predicted class (column)", ["true class", ...names], images.map((row, i) => [names[i], ...row.map((number) => number.toLocaleString("en"))]))
      : plainTable(`The ${LISTED_CONFUSIONS} most frequent confusions`, ["true class", "predicted", "images", "% of the class"],
        wrong.slice(0, LISTED_CONFUSIONS).map(({ truth, predicted, number, share }) => [truth, predicted, number, share.toFixed(1)])),
  });
}
