// What the answer does not say of the shown table: its best row, and its data.

function drawBest() {
  const { best, facts, factor, place } = table();
  const where = factor === null ? "over all imbalance factors" : `at ${place}`;
  const said = [best ? `Best ${where}: ${best}` : "", facts.length ? `${facts.join(", ")}.` : ""].filter(Boolean);
  byId("best").hidden = !said.length;
  byId("best").textContent = said.join(" ");
}
