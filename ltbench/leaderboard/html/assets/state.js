// What the reader has chosen. `changed` draws again what depends on it.

const MOST_TICKED = 6;
const state = {
  board: 0,
  table: 0,
  score: null, // of the column that is drawn; the one that rows are ranked by until another is chosen
  sort: { heading: "rank", down: false },
  stages: {},
  text: "",
  columns: "first",
  whole: false,
  ticked: new Set(), // combinations
  chosen: false, // whether the reader has ticked rows, so that the list of them stays in sight
  compared: null, // factor that combinations are compared at where the table is across factors
  cost: "",
};

const board = () => core.boards[state.board];
const table = () => board().tables[state.table];
const columnOf = (one, heading) => one.columns.find((column) => column.heading === heading);
const scoreColumn = (one = table()) =>
  one.columns.find((column) => column.score === state.score) ?? one.columns.find((column) => column.score === board().ranking.score);

/** The table with the details of combinations: the shown one, or that of one factor if the shown one is across factors. */
function detailTable() {
  if (table().factor !== null) return table();
  const single = board().tables.filter((one) => one.factor !== null);
  return single.find((one) => one.factor === state.compared) ?? single.at(-1);
}

/** The number, among all rows that have details, of a combination in a table of one factor; null where it has none. */
function rowOf(one, combination) {
  const place = one.combinations.indexOf(combination);
  return place < 0 ? null : one.first_row + place;
}

function tick(combination, on) {
  if (!on) state.ticked.delete(combination);
  else if (state.ticked.size < MOST_TICKED) state.ticked.add(combination);
}

/** Go to another table: the choices that it does not have are undone. */
function open(boardNumber, tableNumber) {
  const another = boardNumber !== state.board;
  state.board = boardNumber;
  state.table = tableNumber;
  if (another) {
    state.stages = {};
    state.ticked.clear();
    state.compared = null;
  }
  state.score = scoreColumn()?.score ?? board().ranking.score;
  if (!columnOf(table(), state.sort.heading)) state.sort = { heading: "rank", down: false };
}

/** Tick the reference and the best, so that the first look shows a comparison. */
function tickFirst() {
  const ranked = table().combinations.filter((_, row) => table().n[row] > 0);
  const reference = ranked.find(isReference);
  for (const one of [reference, ranked.find((combination) => combination !== reference)]) if (one !== undefined) tick(one, true);
}
