// What each technique adds: alone on the diagonal, in pairs below it.

function drawEffects() {
  const body = byId("effects-body");
  const factor = core.boards.length ? table().factor : null;
  const mine = core.boards.length ? board().effects.filter((effect) => effect.factor === factor) : [];
  const names = [...new Set(mine.flatMap(({ techniques }) => techniques))];
  const notes = core.boards.length ? board().inseparable.map((text) => el("p", {}, text)) : [];
  if (!mine.length) {
    const none = "There are no two combinations here that differ in one technique only, run with the same seeds.";
    body.replaceChildren(...(notes.length ? notes : [el("p", { class: "hint" }, none)]));
    return;
  }
  const sum = (name) => mine.find(({ techniques }) => techniques.length === 1 && techniques[0] === name)?.mean ?? 0;
  names.sort((a, b) => sign() * (sum(b) - sum(a)));
  const where = factor === null ? "over all imbalance factors" : `at ${table().place}`;
  body.replaceChildren(
    el("p", { class: "fine" }, `${isPercent() ? "Percentage points" : "Change"} of ${board().ranking.words} ${where}. On the diagonal, what switching the technique on adds on average over the combinations run with and without it; `
      + "elsewhere, what a pair adds beyond the sum of the two. Bold and * where significant: the 95 % interval leaves out zero. The intervals of all techniques hold together, and so do those of all pairs."),
    el("div", { class: "beside" }, effectChart(mine, names), aloneTable(mine)), ...notes);
}

const isPercent = () => board().ranking.unit === "percent";
/** 1 where a high score is good, -1 where a low one is. */
const sign = () => board().ranking.sign;

function aloneTable(mine) {
  const alone = mine.filter(({ techniques }) => techniques.length === 1).sort((a, b) => sign() * (b.mean - a.mean));
  return plainTable(`Each technique, averaged over the combinations run with and without it${isPercent() ? ", points" : ""}`, ["technique", "adds", "95 % interval", "over"],
    alone.map((one) => [one.techniques[0], one.text, one.interval, one.over]));
}

function effectChart(mine, names) {
  const values = mine.map((effect) => {
    const places = effect.techniques.map((name) => names.indexOf(name));
    const [a, b] = [Math.max(...places), Math.min(...places)];
    return { ...effect, row: names[a], column: names[b], title: effect.techniques.join(" with "), short: effect.text.replace(" *", "") };
  });
  const limit = Math.max(...values.map(({ mean }) => Math.abs(mean)), isPercent() ? 0.1 : 0.001);
  const longest = Math.max(...names.map((name) => name.length));
  const spec = (width) => {
    const left = Math.min(longest * 6.6 + 16, 170);
    const side = Math.min(width - left - 6, Math.max(96 * names.length, 160), 760);
    const numbered = side / names.length > 34;
    const axis = { title: null, domain: false, ticks: false, labelLimit: 160 };
    const x = { field: "column", type: "ordinal", sort: names, scale: { domain: names }, axis: { ...axis, labelAngle: names.length > 3 || width < 500 ? -40 : 0, orient: "bottom" } };
    const y = { field: "row", type: "ordinal", sort: names, scale: { domain: names }, axis };
    return {
      width: side, height: Math.min(side, Math.max(48 * names.length, 60)), data: { values },
      layer: [
        { mark: { type: "rect", stroke: themeColor("surface"), strokeWidth: 2, cornerRadius: 3 },
          encoding: { x, y, color: { field: "mean", type: "quantitative", legend: null, scale: { domain: [-limit, 0, limit], range: [themeColor(sign() > 0 ? "minus" : "plus"), themeColor("sunken"), themeColor(sign() > 0 ? "plus" : "minus")], interpolate: "lab" } },
            tooltip: [{ field: "title", title: "title" }, { field: "text", title: isPercent() ? "adds, points" : "adds" }, { field: "interval", title: "95 % interval" }, { field: "n", title: "runs" }, { field: "over", title: "over" }] } },
        ...(numbered ? [true, false] : []).map((sure) => ({
          transform: [{ filter: `datum.sure === ${sure}` }], mark: { type: "text", fontSize: 12, fontWeight: sure ? "bold" : "normal", tooltip: null },
          encoding: { x, y, text: { field: "short" }, color: { condition: { test: `abs(datum.mean) > ${0.6 * limit}`, value: themeColor("on-matrix") }, value: themeColor("text") } } })),
      ],
    };
  };
  const alone = values.filter(({ techniques }) => techniques.length === 1).sort((a, b) => sign() * (b.mean - a.mean));
  return chart({
    title: "Main effects and interactions",
    says: `Heat map. Adds on its own: ${alone.map((one) => `${one.title} ${one.text} (${one.interval})`).join("; ")}. The pairs are in the table below.`,
    spec,
    numbers: () => plainTable(`What each technique and each pair adds${isPercent() ? ", in percentage points" : ""}`, ["technique, or pair", "adds", "95 % interval", "runs", "over"],
      [...values].sort((a, b) => a.techniques.length - b.techniques.length || sign() * (b.mean - a.mean)).map((one) => [one.title, one.text, one.interval, one.n, one.over])),
  });
}
