// Which board and factor, which rows and columns.

function drawControls() {
  drawPlaces();
  drawFilters();
}

function drawPlaces() {
  const boards = core.boards.map((one, i) => [i, `${one.name} · ${one.recipe}`]);
  const factors = board().tables.map((one, i) => {
    const id = `factor-${i}`;
    const input = el("input", { type: "radio", name: "factor", id, value: i, checked: i === state.table, onchange: () => { open(state.board, i); drawFilters(); drawAll(); } });
    return el("span", {}, input, el("label", { for: id }, one.factor === null ? "All factors" : one.name));
  });
  byId("places").replaceChildren(
    ...(boards.length > 1 ? [select("Board", boards, state.board, (value) => { open(Number(value), 0); tickFirst(); drawControls(); drawAll(); }, "board")] : []),
    ...(boards.length > 1 ? [] : [el("p", { class: "board" }, board().name)]),
    el("fieldset", { class: "segments" }, el("legend", {}, "Imbalance factor"), el("div", {}, factors)));
}

function drawFilters() {
  const used = new Map();
  for (const combination of new Set(board().tables.flatMap((one) => one.combinations)))
    for (const [stage, label] of core.combinations[combination].techniques) used.set(stage, (used.get(stage) ?? new Set()).add(label));
  const scores = table().columns.filter((column) => column.score).map((column) => [column.score, column.name]);
  const stages = core.stages.filter((stage) => used.has(stage)).map((stage) => {
    const options = [["", "any"], ["-", "baseline only"], ["*", "any technique"], ...[...used.get(stage)].sort().map((label) => [`=${label}`, label])];
    return select(stage, options, state.stages[stage] ?? "", (value) => { state.stages[stage] = value; drawTable(); }, `stage-${stage}`);
  });
  const search = el("input", { type: "search", id: "search", placeholder: "techniques, notes; -word leaves out", value: state.text, autocomplete: "off",
    oninput: (event) => { state.text = event.target.value; drawTable(); } });
  const hasMore = table().columns.some((column) => !column.first);
  byId("filters").replaceChildren(
    el("div", { class: "field wide" }, el("label", { for: "search" }, "Search"), search),
    select("Metric", scores, state.score, (value) => { state.score = value; drawTable(); drawCost(); }, "score", "broad"),
    ...(hasMore ? [select("Columns", [["first", "the main ones"], ["all", "all of them"]], state.columns, (value) => { state.columns = value; drawTable(); }, "columns")] : []),
    ...(matchMedia("(max-width: 640px)").matches && stages.length
      ? [el("details", { class: "stages", open: Object.values(state.stages).some(Boolean) }, el("summary", {}, "Filter by stage"), el("div", {}, stages))] : stages));
}

/** The rows of the table that the filters let through, in the order of the page. */
function filteredRows() {
  const words = state.text.toLowerCase().split(/\s+/).filter((word) => word && word !== "-" && word !== "+");
  return table().combinations.map((_, row) => row).filter((row) => {
    const { label, techniques } = core.combinations[table().combinations[row]];
    const picked = Object.fromEntries(techniques);
    for (const [stage, wanted] of Object.entries(state.stages)) {
      const have = picked[stage];
      if (wanted === "-" && have) return false;
      if (wanted === "*" && !have) return false;
      if (wanted.startsWith("=") && have !== wanted.slice(1)) return false;
    }
    const text = [label, ...table().notes[row], table().failed[row] ? "failed" : ""].join(" ").toLowerCase();
    return words.every((word) => (word.startsWith("-") ? !text.includes(word.slice(1)) : text.includes(word)));
  });
}
