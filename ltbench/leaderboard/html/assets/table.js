// The table: sorted, filtered, with an interval plot in each row.

const SHOWN_ROWS = 50;

function drawTable() {
  const one = table();
  const rows = sortedRows(filteredRows());
  const shown = state.whole ? rows : rows.slice(0, SHOWN_ROWS);
  const columns = shownColumns(one);
  const axis = plotAxis(one);
  byId("table").replaceChildren(
    el("table", { class: "board-table" },
      el("caption", {}, el("span", { id: "table-caption" }, capitalised(one.place))),
      head(columns, axis),
      el("tbody", {}, shown.flatMap((row, i) => [bodyRow(one, columns, axis, row, rows[i - 1]), ...publishedRows(one, columns, row)]),
        rows.length === one.combinations.length && shown.length === rows.length ? publishedRows(one, columns, null) : [])));
  byId("caption").textContent = one.caption;
  const total = one.combinations.length;
  byId("count").textContent = rows.length === total ? pluralised(total, "combination") : `${rows.length.toLocaleString("en")} of ${pluralised(total, "combination")}`;
  byId("clear").hidden = !state.text && !Object.values(state.stages).some(Boolean);
  const rest = rows.length - shown.length;
  byId("more").replaceChildren(...(rest > 0
    ? [el("button", { type: "button", id: "whole", class: "plain-button", onclick: () => { state.whole = true; drawTable(); } }, `Show ${pluralised(rest, "more row")}`)] : []));
  drawTray();
}

function shownColumns(one) {
  const main = scoreColumn(one);
  const fixed = ["rank", "techniques"].map((heading) => columnOf(one, heading));
  const rest = one.columns.filter((column) => column !== main && !fixed.includes(column) && (column.first || state.columns === "all" || column.heading === state.sort.heading));
  const early = rest.filter((column) => !column.score);
  return [...fixed, main, ...early, ...rest.filter((column) => column.score)];
}

function sortedRows(rows) {
  const { heading, down } = state.sort;
  const column = columnOf(table(), heading);
  if (heading === "rank") return down ? rows.toReversed() : rows;
  const isText = column.numbers.every((number) => number === null);
  const key = isText ? (row) => column.texts[row] : (row) => column.numbers[row];
  return rows.toSorted((a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === null || y === null) return (x === null) - (y === null) || a - b; // what has no number comes last in both directions
    const order = typeof x === "string" ? x.localeCompare(y, "en") : x - y;
    return (down ? -order : order) || a - b;
  });
}

function head(columns, axis) {
  const cells = columns.flatMap((column) => {
    const sorted = column.heading === state.sort.heading;
    const title = column.about ? `${column.name}. ${column.about}` : column.name;
    const button = el("button", { type: "button", title, "aria-label": `${column.heading}, ${column.name}: sort`, onclick: () => sortBy(column) },
      column.heading, el("span", { class: "arrow", "aria-hidden": "true" }, sorted ? (state.sort.down ? "▾" : "▴") : ""));
    const cell = el("th", { scope: "col", "aria-sort": sorted ? (state.sort.down ? "descending" : "ascending") : null, "data-heading": column.heading,
      class: column.heading === "techniques" ? "name" : "number" }, button);
    return column === scoreColumn() ? [cell, plotHead(axis)] : [cell];
  });
  return el("thead", {}, el("tr", {}, el("th", { scope: "col", class: "tick" }, el("span", { class: "hidden" }, "Compare")), cells));
}

function sortBy(column) {
  const first = column.sign > 0 && column.heading !== "techniques";
  state.sort = state.sort.heading === column.heading ? { heading: column.heading, down: !state.sort.down } : { heading: column.heading, down: first };
  drawTable();
  byId("table").querySelector(`th[data-heading="${CSS.escape(column.heading)}"] button`).focus();
}

function bodyRow(one, columns, axis, row, above) {
  const combination = one.combinations[row];
  const label = labelOf(combination);
  const isTicked = state.ticked.has(combination);
  const full = !isTicked && state.ticked.size >= MOST_TICKED;
  const box = el("input", { type: "checkbox", checked: isTicked, disabled: full, "aria-label": `Compare ${label}`, title: full ? `At most ${MOST_TICKED} can be compared` : null,
    onchange: (event) => { state.chosen = true; tick(combination, event.target.checked); drawTable(); refocus(combination); drawCompare(); drawCost(); } });
  const cells = columns.flatMap((column) => {
    if (column.heading === "techniques") return [nameCell(one, row, label)];
    const cell = numberCell(column, row, combination);
    return column === scoreColumn(one) ? [cell, plotCell(column, row, axis)] : [cell];
  });
  // A line where all rows below are significantly worse than all above.
  const begins = state.sort.heading === "rank" && !state.sort.down && above !== undefined && one.ranks[row] !== null
    && one.ranks.slice(0, row).every((range) => range !== null && range[1] < one.ranks[row][0]);
  return el("tr", { class: [isBaseline(combination) ? "baseline" : "", isReference(combination) ? "reference" : "", begins ? "group" : ""].join(" ").trim() || null, "data-combination": combination },
    el("td", { class: "tick" }, box, isTicked ? markOf(combination) : null), cells);
}

function refocus(combination) {
  byId("table").querySelector(`tr[data-combination="${combination}"] input`)?.focus();
}

function nameCell(one, row, label) {
  const says = [];
  if (one.n[row] < one.expected) says.push(`${one.n[row]} of ${pluralised(one.expected, "run")}${one.factor === null ? " at every factor" : ""}`);
  if (one.failed[row]) says.push(`${pluralised(one.failed[row], "cell")} failed`);
  return el("th", { scope: "row", class: "name" },
    el("button", { type: "button", class: "link", title: `${label}: configuration, environment and log of its cells`, onclick: () => showTraces(one, one.combinations[row]) }, columnOf(one, "techniques").texts[row]),
    [...says, ...one.notes[row]].map((text) => el("small", {}, text)));
}

function numberCell(column, row, combination) {
  const text = column.texts[row];
  const best = column.best.includes(row);
  if (text === "FAILED") return el("td", { class: "number" }, el("button", { type: "button", class: "link failed", onclick: () => showTraces(table(), combination) }, text));
  const tail = column === scoreColumn() ? column.tails[row] : "";
  return el("td", { class: "number", title: column.tails[row] && !tail ? text + column.tails[row] : null }, best ? el("strong", {}, text) : text, tail ? el("span", { class: "half" }, tail) : null);
}

/** The published numbers of a row's combination, or of those that were not run here: shown, never ranked or drawn. */
function publishedRows(one, columns, row) {
  return one.published.filter(({ below }) => below === row).map(({ name, source, texts, notes }) => {
    const cells = columns.flatMap((column) => {
      if (column.heading === "techniques")
        return [el("th", { scope: "row", class: "name" }, row === null ? `${name}: ` : el("span", { "aria-hidden": "true" }, "↳ "), `reported, ${source}`, notes.map((text) => el("small", {}, text)))];
      const cell = el("td", { class: "number" }, texts[one.columns.indexOf(column)]);
      return column === scoreColumn(one) ? [cell, el("td", { class: "plot" })] : [cell];
    });
    return el("tr", { class: "published" }, el("td", { class: "tick" }), cells);
  });
}

// --- interval plots ---------------------------------------------------------------------------------------------

/** The axis that the interval plots of a table share; null without numbers. */
function plotAxis(one) {
  const { numbers, ends, unit } = scoreColumn(one);
  const drawn = numbers.flatMap((value, i) => (value === null ? [] : ends[i] ?? [value, value]));
  if (!drawn.length) return null;
  let [low, high] = drawn.reduce(([a, b], end) => [Math.min(a, end), Math.max(b, end)], [Infinity, -Infinity]);
  let step;
  if (unit === "percent") {
    low = Math.max(low, 0);
    high = Math.min(Math.max(high, low + 1), 100);
    step = [0.5, 1, 2, 5, 10, 20, 25, 50].find((size) => (high - low) / size <= 4) ?? 100;
  } else {
    const digit = 10 ** Math.floor(Math.log10(Math.max(high - low, 0.004) / 4));
    step = digit * [1, 2, 5, 10].find((size) => (high - low) / (digit * size) <= 4);
  }
  low = Math.floor(low / step) * step;
  high = Math.ceil(high / step) * step;
  const ticks = [];
  for (let value = low; value <= high + step / 1000; value += step) ticks.push(Number(value.toPrecision(6)));
  return { at: (value) => (100 * (Math.min(Math.max(value, low), high) - low)) / (high - low), ticks };
}

function plotHead(axis) {
  const ticks = axis ? axis.ticks.map((value) => el("span", { style: `left:${axis.at(value)}%` }, String(value))) : [];
  return el("th", { class: "plot", "aria-hidden": "true" }, el("div", { class: "axis" }, ticks));
}

function plotCell(column, row, axis) {
  const cell = el("td", { class: "plot", "aria-hidden": "true" });
  if (!axis) return cell;
  const box = el("div", { class: "interval" });
  const line = (kind, index, isWide) => {
    const value = column.numbers[index] ?? null;
    if (value === null) return;
    const [left, right] = ((isWide && column.ends[index]) || [value, value]).map(axis.at);
    box.append(el("span", { class: kind, style: `left:${left}%;width:${right - left}%` }));
  };
  line("base", table().combinations.findIndex(isReference), false);
  line("whisker", row, true);
  // Only what rows are ranked by is tested.
  line(column.score === board().ranking.score && table().ranks[row]?.[0] === 1 ? "dot may-be-best" : "dot", row, false);
  cell.append(box);
  return cell;
}

// --- ticked rows ---------------------------------------------------------------------------------------------

function drawTray() {
  const chips = [...state.ticked].map((combination) => chip(combination, true));
  byId("tray").hidden = !chips.length;
  byId("tray").classList.toggle("stays", state.chosen);
  byId("tray").replaceChildren(
    el("span", { class: "fine" }, `${chips.length} of ${MOST_TICKED} ticked`),
    el("ul", { class: "chips", "aria-label": "Combinations that are compared" }, chips),
    el("a", { href: "#compare" }, "Compare ↓"),
    el("button", { type: "button", class: "plain-button", onclick: () => { state.ticked.clear(); drawTable(); drawCompare(); drawCost(); } }, "Untick all"));
}

function chip(combination, removable) {
  const label = labelOf(combination);
  return el("li", { class: "chip" }, markOf(combination), label,
    removable ? el("button", { type: "button", "aria-label": `Stop comparing ${label}`, onclick: () => { tick(combination, false); drawTable(); drawCompare(); drawCost(); } }, "×") : null);
}
