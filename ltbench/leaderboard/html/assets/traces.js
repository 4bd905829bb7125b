// The origin of numbers: configuration, environment, plugins and log of each cell of a row, and its command.

async function showTraces(one, combination, wantedId) {
  const sources = one.factor === null ? board().tables.filter(({ factor }) => factor !== null) : [one];
  const cells = [];
  for (const source of sources) {
    const row = rowOf(source, combination);
    if (row !== null) for (const trace of await tracesOf(row)) cells.push({ ...trace, factor: source.name });
  }
  const dialog = byId("traces");
  const detail = el("div", { class: "trace", role: "region", "aria-label": "The chosen cell" });
  const choose = (cell) => {
    for (const button of dialog.querySelectorAll("[data-cell]")) button.setAttribute("aria-pressed", String(button.dataset.cell === cell.id));
    detail.replaceChildren(...traceOf(cell));
  };
  const open = (cell) => el("button", { type: "button", class: "link", "data-cell": cell.id, "aria-pressed": "false", onclick: () => choose(cell) }, cell.id.slice(0, 12));
  const rows = cells.map((cell) => el("tr", {},
    el("th", { scope: "row" }, open(cell)), el("td", {}, cell.factor), el("td", {}, String(cell.subset_seed)), el("td", {}, String(cell.seed)),
    el("td", {}, cell.error ? el("span", { class: "failed" }, "failed") : "ok"),
    el("td", {}, cell.metrics.top1 === undefined || cell.metrics.top1 === null ? "–" : (100 * cell.metrics.top1).toFixed(1)), el("td", {}, short(cell.cost.train_seconds))));
  dialog.replaceChildren(
    el("header", { class: "dialog-head" },
      el("h2", { id: "traces-title" }, labelOf(combination)),
      el("button", { type: "button", class: "plain-button", onclick: () => dialog.close(), autofocus: true }, "Close")),
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Cells of this row" },
      el("table", { class: "plain" }, el("caption", {}, `${pluralised(cells.length, "cell")}: choose one to see all of it`),
        el("thead", {}, el("tr", {}, ["cell", "factor", "subset seed", "seed", "status", "top-1, %", "training, s"].map((text) => el("th", { scope: "col" }, text)))),
        el("tbody", {}, rows))),
    detail);
  const first = cells.find(({ id }) => id === wantedId) ?? cells.find(({ error }) => error) ?? cells[0];
  if (first) choose(first);
  dialog.showModal();
}

function traceOf(cell) {
  const parts = [el("h3", {}, `Cell ${cell.id}`)];
  if (cell.error) {
    parts.push(el("p", { class: "problem" }, cell.error));
    if (cell.log) parts.push(el("details", { open: true }, el("summary", {}, "Log"), el("pre", { tabindex: "0" }, cell.log)));
  }
  parts.push(el("h4", {}, "Run this cell again"), commandBlock(cell.command));
  for (const note of cell.notes ?? []) parts.push(el("p", { class: "fine" }, note));
  if (!cell.error) {
    parts.push(el("h4", {}, "Numbers"), pairs({ ...cell.metrics }), el("h4", {}, "Cost"), pairs(cell.cost));
  }
  parts.push(el("h4", {}, "Configuration"), ...configuration(cell));
  const environment = core.pool[cell.environment];
  if (Object.keys(environment).length) parts.push(el("h4", {}, "Environment"), pairs(environment));
  const plugins = core.pool[cell.plugins];
  if (plugins.length) parts.push(plainTable("Plugins", ["technique", "stage", "distribution", "revision", "source"],
    plugins.map(([stage, name, distribution, version, revision, source]) => [name, stage, `${distribution} ${version}`, revision, source])));
  parts.push(el("p", { class: "fine" }, `Digest of the record: ${cell.digest}`));
  return parts;
}

function configuration(cell) {
  const written = (technique) => {
    if (!technique) return "none";
    const params = Object.entries(technique.params).map(([key, value]) => `${key}=${value}`).join(", ");
    return params ? `${technique.name} (${params})` : technique.name;
  };
  const members = cell.fits.map((fit, i) => {
    const segments = fit.segments.map((segment) => Object.fromEntries(Object.entries(segment).map(([key, value]) =>
      [key, value !== null && typeof value === "object" ? written(value) : value])));
    const facts = {
      dataset: written(fit.data.dataset), profile: written(fit.data.profile), "imbalance factor": fit.data.imbalance_factor, "subset seed": fit.data.subset_seed,
      model: written(fit.model), seed: fit.seed, ...fit.recipe,
    };
    return [cell.fits.length > 1 ? el("h5", {}, `Member ${i + 1}`) : null, pairs(facts), ...segments.map((segment, s) => [segments.length > 1 ? el("h5", {}, `Phase ${s + 1}`) : null, pairs(segment)]).flat()];
  }).flat();
  const after = Object.fromEntries(["view", "posthoc", "ensemble"].filter((stage) => cell.spec[stage]).map((stage) => [stage, written(cell.spec[stage])]));
  const exact = JSON.stringify({ spec: cell.spec, fits: cell.fits }, null, 1);
  return [...members, pairs(after), el("details", {}, el("summary", {}, "Exactly, as the identity is computed from it"), el("pre", { tabindex: "0" }, exact))].filter(Boolean);
}

function pairs(facts) {
  const text = (value) => (value === null ? "–" : typeof value === "object" ? JSON.stringify(value) : typeof value === "number" ? String(value) : String(value));
  return el("dl", { class: "pairs" }, Object.entries(facts).map(([key, value]) => el("div", {}, el("dt", {}, key), el("dd", {}, text(value)))));
}

/** Open the cell that the address names: `report.html#cell-3f85e22e`. */
async function openFromAddress() {
  const wanted = location.hash.match(/^#cell-([0-9a-f]+)$/)?.[1];
  if (!wanted) return;
  for (const [b, one] of core.boards.entries())
    for (const [t, source] of one.tables.entries()) {
      if (source.factor === null) continue;
      for (const combination of source.combinations) {
        const found = (await tracesOf(rowOf(source, combination))).find(({ id }) => id.startsWith(wanted));
        if (!found) continue;
        open(b, t);
        drawControls();
        drawAll();
        await showTraces(source, combination, found.id);
        return;
      }
    }
}
