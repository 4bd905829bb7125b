// What won, and whether that means anything.

function drawVerdict() {
  const { verdict, facts, factor } = table();
  const where = factor === null ? "over all imbalance factors" : `at ${table().place}`;
  if (!verdict.best) {
    byId("verdict").replaceChildren(el("p", {}, verdict.others));
    return;
  }
  const number = el("p", { class: "number" },
    el("span", { class: "big" }, verdict.score, el("span", { class: "unit" }, " %")),
    el("span", { class: "half" }, `${verdict.interval} ${board().ranking.title}, ${verdict.runs}`),
    verdict.delta ? el("span", { class: "half" }, `${verdict.delta} to ${core.reference.text}`) : null);
  byId("verdict").replaceChildren(
    number,
    el("div", { class: "says" },
      el("p", { class: "eyebrow" }, `Best ${where}`),
      el("p", { class: "winner" }, verdict.best),
      el("p", { class: verdict.clear ? "meaning clear" : "meaning" },
        el("strong", {}, verdict.clear ? "A clear lead. " : "Not a clear lead. "), `${verdict.others} ${verdict.reference}`),
      facts.length ? el("p", { class: "fine" }, facts.join(" · ")) : null));
}
