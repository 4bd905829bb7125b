// The data of the file: the core, read at once, and details, read on demand.

async function inflated(base64) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

if (typeof DecompressionStream === "undefined") {
  byId("problem").hidden = false;
  byId("problem").textContent = "This browser is too old for this report: it has no DecompressionStream. Any of 2023 or later does.";
}

const core = JSON.parse(await inflated(byId("core").textContent));
const packed = {};
const unpacked = new Map();

/** A part of a kind of details; null where the file does not have it. */
function part(kind, number) {
  packed[kind] ??= JSON.parse(byId(kind).textContent);
  const key = `${kind} ${number}`;
  if (!unpacked.has(key)) {
    const text = packed[kind][number] ?? null;
    unpacked.set(key, text === null ? Promise.resolve(null) : inflated(text).then(JSON.parse));
  }
  return unpacked.get(key);
}

const linesOf = (row) => part("lines", row);
const matrixOf = (row) => part("matrices", row);
const tracesOf = async (row) => (await part("cells", Math.floor(row / core.together)))[row % core.together];

const labelOf = (combination) => core.combinations[combination].label;
/** Whether differences are taken to it: the baseline, or another combination that the suite names. */
const isReference = (combination) => combination === core.reference.combination;
const isBaseline = (combination) => core.combinations[combination].techniques.length === 0;
const classesOf = (table) => (table.classes === null ? { names: [], counts: [] } : core.pool[table.classes]);
