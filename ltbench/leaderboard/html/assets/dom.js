// Elements. Whatever a record holds goes into the page as text, never as markup.

const byId = (id) => document.getElementById(id);

/** Make an element; attributes named on… are listeners, those that are null, undefined or false are left away. */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** A label with a select; options are [value, text]. */
function select(label, options, value, onchange, id, className = "") {
  const choices = options.map(([one, text]) => el("option", { value: one, selected: String(one) === String(value) }, text));
  return el("div", { class: `field ${className}` }, el("label", { for: id }, label), el("select", { id, onchange: (event) => onchange(event.target.value) }, choices));
}

/** A plain table: what charts say, for those who do not see them, and the facts of a cell. */
function plainTable(caption, head, rows) {
  const cell = (value, i) => (i === 0 ? el("th", { scope: "row" }, String(value ?? "–")) : el("td", {}, String(value ?? "–")));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    el("table", { class: "plain" },
      el("caption", {}, caption),
      el("thead", {}, el("tr", {}, head.map((text) => el("th", { scope: "col" }, text)))),
      el("tbody", {}, rows.map((row) => el("tr", {}, row.map(cell))))));
}

const pluralised = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
const capitalised = (text) => text[0].toUpperCase() + text.slice(1);

/** A number with at most `digits` significant digits, thousands set apart. */
function short(number, digits = 3) {
  if (number === null || number === undefined) return "–";
  if (Number.isInteger(number)) return number.toLocaleString("en");
  const options = Math.abs(number) >= 10 ** digits ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: digits };
  return number.toLocaleString("en", options);
}

/** A command with a button that copies it. */
function commandBlock(command) {
  const button = el("button", { type: "button", class: "copy" }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(command);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(text);
      button.textContent = "Selected";
    }
  });
  const text = el("pre", { class: "command", tabindex: "0" }, command);
  return el("div", { class: "copyable" }, text, button);
}
