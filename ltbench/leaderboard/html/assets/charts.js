// Charts by Vega-Lite: loaded when the first one is drawn, drawn again when the theme or the width changes.

// The marks of combinations, by the marker that the figures of the page have: as text, and as shape of a chart.
const GLYPHS = { o: "●", s: "■", "^": "▲", D: "◆", v: "▼", P: "✚", X: "✖" };
const SHAPES = { o: "circle", s: "square", "^": "triangle-up", D: "diamond", v: "triangle-down", P: "cross",
  X: "M-1,-0.6L-0.6,-1L0,-0.4L0.6,-1L1,-0.6L0.4,0L1,0.6L0.6,1L0,0.4L-0.6,1L-1,0.6L-0.4,0Z" };
const charts = new Set();
let loading = null;

function loadLibrary() {
  loading ??= inflated(byId("library").textContent).then((source) => {
    const script = document.createElement("script");
    script.textContent = source;
    document.head.append(script);
  });
  return loading;
}

/** A colour of the current theme as the charts understand it. */
function computedColor(color) {
  const probe = el("span", { style: `color:${color}` });
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

const themeColor = (name) => computedColor(`var(--${name})`);

const lookOf = (combination) => core.combinations[combination].look;
const lookColor = ({ color, dark }) => `light-dark(${color}, ${dark})`;
/** The mark of a combination, for those who see it. */
const markOf = (combination) => el("span", { class: "mark", style: `color:${lookColor(lookOf(combination))}`, "aria-hidden": "true" }, GLYPHS[lookOf(combination).marker]);

/** Colour, marker and dashes of combinations, in the colours of now; a field `label` tells them apart. */
function seriesMarks(combinations) {
  const domain = combinations.map(labelOf);
  const looks = combinations.map(lookOf);
  const by = (range) => ({ field: "label", type: "nominal", legend: null, scale: { domain, range } });
  return {
    color: by(looks.map((look) => computedColor(lookColor(look)))),
    shape: by(looks.map(({ marker }) => SHAPES[marker])),
    dash: by(looks.map(({ dashed }) => (dashed ? [6, 3] : [1, 0]))),
  };
}

function chartConfig() {
  const [text, muted, rule] = ["text", "muted", "rule"].map(themeColor);
  const font = getComputedStyle(document.body).fontFamily;
  return {
    background: null,
    font,
    view: { stroke: null },
    axis: { labelColor: muted, titleColor: muted, gridColor: rule, domainColor: rule, tickColor: rule, labelFontSize: 12, titleFontSize: 12, titleFontWeight: 500, titlePadding: 8 },
    title: { color: text, fontSize: 13, fontWeight: 600, anchor: "start" },
    text: { color: text, fontSize: 12 },
    legend: { labelColor: muted, titleColor: muted, labelFontSize: 12, titleFontSize: 12, titleFontWeight: 500 },
  };
}

/**
 * Make a figure. `says` is the text for those who cannot see it; `numbers` makes the table that says all of it;
 * `spec` makes the chart for a width in pixels; `legend` stands below it.
 */
function chart({ title, says, spec, numbers, legend = null, canvas = false }) {
  const place = el("div"); // the library sets its own label here, so ours is on the element around it
  const list = el("details", { class: "numbers" }, el("summary", {}, "The numbers of this chart"));
  list.addEventListener("toggle", () => { if (list.open && list.children.length === 1) list.append(numbers()); });
  const node = el("figure", {}, el("figcaption", {}, title), el("div", { class: "plotting", role: "img", "aria-label": says }, place), legend, list);
  const one = { place, spec, canvas, width: 0, drawn: Promise.resolve() };
  charts.add(one);
  resized.observe(place);
  return node;
}

const resized = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) {
    const one = [...charts].find((chart) => chart.place === target);
    if (one && Math.abs(one.width - contentRect.width) > 1) drawChart(one);
  }
});

/** Draw a chart, after whatever drawing of it is under way. */
function drawChart(one) {
  one.drawn = one.drawn.then(() => drawNow(one));
  return one.drawn;
}

async function drawNow(one) {
  await loadLibrary();
  if (!one.place.isConnected) return dropChart(one);
  const width = Math.floor(one.place.clientWidth);
  if (!width) return;
  one.width = width;
  one.finalize?.();
  const { finalize } = await window.vegaEmbed(one.place, one.spec(width), {
    mode: "vega-lite", renderer: one.canvas ? "canvas" : "svg", actions: false, defaultStyle: false, config: chartConfig(),
    tooltip: (_, event, item, value) => showTip(event, value),
  });
  one.finalize = finalize;
}

function dropChart(one) {
  one.finalize?.();
  resized.unobserve(one.place);
  charts.delete(one);
}

/** Draw all charts again, in the colours of now; those that have left the page are forgotten. */
function redrawCharts() {
  return Promise.all([...charts].map(drawChart));
}

const tip = el("div", { class: "tip", hidden: true });
document.body.append(tip);

function showTip(event, value) {
  tip.hidden = value === null || value === undefined || value === "";
  if (tip.hidden) return;
  const lines = typeof value === "object" ? Object.entries(value).map(([key, text]) => (key === "title" ? String(text) : `${key}: ${text}`)) : [String(value)];
  tip.replaceChildren(...lines.map((line) => el("div", {}, line)));
  const { innerWidth, scrollX, scrollY } = window;
  tip.style.left = `${Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8) + scrollX}px`;
  tip.style.top = `${event.clientY + 14 + scrollY}px`;
}
