// From here everything starts.

function drawAll() {
  drawFigure();
  drawBest();
  drawTable();
  drawCompare();
  drawCost();
  drawEffects();
  drawAbout();
}

function drawAbout() {
  const one = board();
  const about = [el("p", {}, `${one.name}. Recipe: ${one.recipe || "as it comes"}. Protocol ${one.protocol}.`)];
  if (core.provenance.length) about.push(el("p", { class: "provenance" }, core.provenance.map((text) => withCode(`${text} `))));
  if (one.ranking.why) about.push(el("p", {}, one.ranking.why));
  if (one.versions) about.push(el("p", {}, `${pluralised(one.versions, "record of an earlier revision of a technique is", "records of earlier revisions of a technique are")} left out.`));
  if (one.missing.length) {
    const lines = one.missing.map(({ combination, factor, runs }) => [labelOf(combination), factor, runs.map(([subset, seed]) => (subset === seed ? `seed ${seed}` : `subset ${subset} seed ${seed}`)).join(", ")]);
    about.push(el("details", {}, el("summary", {}, `Cells without a record: ${one.missing.reduce((sum, { runs }) => sum + runs.length, 0)}`), plainTable("Missing cells", ["combination", "imbalance factor", "runs"], lines)));
  }
  const failing = one.tables.filter(({ factor }) => factor !== null).flatMap((source) =>
    source.combinations.flatMap((combination, row) => (source.failed[row] ? [el("li", {}, el("button", { type: "button", class: "link", onclick: () => showTraces(source, combination) }, labelOf(combination)), ` at imbalance factor ${source.name}`)] : [])));
  if (failing.length) about.push(el("details", { open: failing.length <= 10 }, el("summary", {}, `Failed: ${pluralised(failing.length, "row")}`), el("ul", {}, failing)));
  if (core.withdrawn.length) about.push(el("details", { open: core.withdrawn.length <= 10 }, el("summary", {}, `Withdrawn: ${pluralised(core.withdrawn.length, "cell")}`),
    plainTable("These cells count as missing; their records stay in the file", ["cell", "combination", "factor", "seed", "reason"],
      core.withdrawn.map(({ id, label, factor, seed, reason }) => [id.slice(0, 12), label, factor, seed, reason]))));
  byId("about-body").replaceChildren(...about);
}

/** Text with code between backticks. */
const withCode = (text) => text.split("`").map((part, i) => (i % 2 ? el("code", {}, part) : part));

// --- theme and print --------------------------------------------------------------------------------------------

const darkSystem = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme || (darkSystem.matches ? "dark" : "light")) === "dark";

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  byId("theme").setAttribute("aria-pressed", String(isDark()));
  return redrawCharts();
}

byId("theme").addEventListener("click", () => {
  const theme = isDark() ? "light" : "dark";
  try { localStorage.setItem("ltbench-theme", theme); } catch { /* it is forgotten when the page is closed */ }
  setTheme(theme);
});
darkSystem.addEventListener("change", () => setTheme(document.documentElement.dataset.theme));
let shownTheme = "";
addEventListener("beforeprint", () => { shownTheme = document.documentElement.dataset.theme; setTheme("light"); });
addEventListener("afterprint", () => setTheme(shownTheme));
addEventListener("hashchange", openFromAddress);
byId("clear").addEventListener("click", () => { state.stages = {}; state.text = ""; drawFilters(); drawTable(); byId("search").focus(); });
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("theme").setAttribute("aria-pressed", String(isDark()));

if (core.boards.length) {
  state.score = scoreColumn()?.score ?? board().ranking.score;
  tickFirst();
  drawControls();
  drawAll();
  await openFromAddress();
} else {
  byId("leaderboard").hidden = true;
  for (const id of ["compare", "cost", "effects"]) byId(id).hidden = true;
}
document.documentElement.dataset.ready = "";
