"use strict";

/* What every section is built with: elements, numbers as they are shown, axes, tables.
   Texts become text nodes, never markup. */

const report = JSON.parse(document.getElementById("data").textContent);
/** The suite that is looked at. */
let data = null;

/** An HTML element. Functions among the attributes are listeners; strings among the children are texts. */
function h(tag, attributes, ...children) {
  return built(document.createElement(tag), attributes, children);
}

/** An SVG element, likewise. */
function s(tag, attributes, ...children) {
  return built(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function built(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined) element.append(typeof child === "string" ? visible(child) : child);
  }
  return element;
}

const UNSEEN = /(?![\n\t\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** A text with control, escape and bidirectional characters as \x1b, \u202e: as the terminal shows them, too. */
function visible(text) {
  return text.replace(/\r\n/g, "\n").replace(UNSEEN, (found) => {
    const code = found.codePointAt(0);
    const [letter, digits] = code < 0x100 ? ["x", 2] : code < 0x10000 ? ["u", 4] : ["U", 8];
    return `\\${letter}${code.toString(16).padStart(digits, "0")}`;
  });
}

/* ---------------------------------------------------------------- numbers, rounded only here */

const WHOLE = new Intl.NumberFormat("en-US");
const NONE = "\u2013";
const shown = {
  /** A score of a metric. */
  score: (value, metric) => (isNumber(value) ? value.toFixed(decimalsOf(metric)) : NONE),
  /** A difference of scores of a metric. */
  change: (value, metric) => {
    if (!isNumber(value)) return NONE;
    const text = Math.abs(value).toFixed(decimalsOf(metric));
    return Number(text) === 0 ? text : (value < 0 ? "\u2212" : "+") + text;
  },
  /** Both ends of an interval, by one of the above; an end that isn't known is a question mark. */
  ends: (it, metric, one = shown.score) => {
    if (!isNumber(it.low) && !isNumber(it.high)) return NONE;
    return [it.low, it.high].map((end) => (isNumber(end) ? one(end, metric) : "?")).join(" to ");
  },
  count: (value) => WHOLE.format(value),
  usd: (value) => "$" + (value === 0 || value >= 1 ? value.toFixed(2) : value.toPrecision(value < 0.0001 ? 1 : 3)),
  /** Exact but for the last digits of the arithmetic: 99.8% is never 100%. */
  percent: (value) => Number((100 * value).toPrecision(12)) + "%",
};

function isNumber(value) {
  return typeof value === "number";
}

/** A reader is shown one digit less of a share than the files hold; of counts and seconds as many as they have. */
function decimalsOf(metric) {
  return metric.decimals === 4 ? 3 : metric.decimals;
}

/** "3 samples", "1 sample". */
function counted(number, noun) {
  return `${shown.count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** The value below which a share of the sorted values lies, interpolated. */
function quantile(sorted, share) {
  const at = (sorted.length - 1) * share;
  const low = Math.floor(at);
  return sorted[low] + (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]) * (at - low);
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/* ---------------------------------------------------------------- axes */

/** A linear axis that holds all values; `at` gives per cent of its length, so charts follow any width, on paper too. */
function axisOver(values, wanted = 5) {
  const [least, most] = values.reduce(
    ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
    [Infinity, -Infinity],
  );
  const step = roundStep((most - least || Math.abs(most) || 1) / wanted);
  const [low, high] = [Math.floor(least / step + 1e-9) * step, Math.ceil(most / step - 1e-9) * step];
  const ticks = Array.from({ length: Math.round((high - low) / step) + 1 }, (_, i) =>
    Number((low + i * step).toPrecision(12)),
  );
  const share = (value) => (value - low) / (high - low || 1);
  const span = (from, to) => percent(Math.abs(share(to) - share(from)));
  return {
    low,
    high,
    ticks,
    share,
    span,
    at: (value) => percent(share(value)),
    up: (value) => percent(1 - share(value)),
  };
}

function roundStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999) * power;
}

function percent(share) {
  return (100 * share).toFixed(2) + "%";
}

/** Vertical grid lines over the whole height. */
function gridLines(axis) {
  return axis.ticks.map((tick) =>
    s("line", { class: "grid", x1: axis.at(tick), x2: axis.at(tick), y1: 0, y2: "100%" }),
  );
}

/** The numbers of an axis, to stand under its charts. */
function axisNumbers(axis, words = String) {
  const texts = axis.ticks.map((tick) => s("text", { x: axis.at(tick), y: 14, "text-anchor": "middle" }, words(tick)));
  return s("svg", { class: "axis", height: 18, "aria-hidden": "true" }, texts);
}

/** A plot of curves with the numbers of its upright axis beside it; `words` are what a reader without it is told. */
function curvePlot(words, up, shapes) {
  const lines = up.ticks.map((tick) => s("line", { class: "grid", x1: 0, x2: "100%", y1: up.up(tick), y2: up.up(tick) }));
  const texts = up.ticks.map((tick) => s("text", { x: 30, y: up.up(tick), dy: 4, "text-anchor": "end" }, String(tick)));
  return [
    s("svg", { class: "axis side", width: 36, "aria-hidden": "true" }, texts),
    s("svg", { class: "plot loss", role: "img", "aria-label": words }, lines, shapes),
  ];
}

/** A line through points that stretches with the page: a unit square without aspect ratio, its stroke kept. */
function curveThrough(points, kind, across, up) {
  const at = points.map(([x, y]) => `${parseFloat(across.at(x))},${parseFloat(up.up(y))}`);
  const path = s("path", { class: `curve ${kind}`, d: "M" + at.join("L"), "vector-effect": "non-scaling-stroke" });
  const box = { width: "100%", height: "100%", viewBox: "0 0 100 100", preserveAspectRatio: "none", overflow: "visible" };
  return s("svg", box, path);
}

/* ---------------------------------------------------------------- parts of the page */

/** A section: its heading, what its numbers are, and how it is operated, which paper leaves out. */
function section(id, title, note, how, ...children) {
  const heading = h("h2", { id: `${id}-title` }, title);
  const words = h("p", { class: "note" }, note, how ? h("span", { class: "how" }, " " + how) : null);
  return h("section", { id, "aria-labelledby": `${id}-title` }, heading, words, children);
}

/** A table: `columns` are headings, each with its class; `rows` are lists of cells. */
function table(className, caption, columns, rows) {
  const cell = (value, i) => h(i ? "td" : "th", { scope: i ? null : "row", class: columns[i][1] }, value);
  const head = columns.map(([title, kind]) => h("th", { scope: "col", class: kind }, title));
  return h(
    "table",
    { class: className },
    h("caption", {}, caption),
    h("thead", {}, h("tr", {}, head)),
    h(
      "tbody",
      {},
      rows.map((row) => h("tr", {}, row.map(cell))),
    ),
  );
}

/** A table that scrolls by itself where it is too wide, or, if `tall`, too long; by keyboard, too. */
function scrolled(label, content, tall) {
  return h(
    "div",
    { class: tall ? "scroll tall" : "scroll", tabindex: 0, role: "region", "aria-label": label },
    content,
  );
}

/** Numbers behind a chart, folded away, and made when they are first looked at. */
function numbers(title, make) {
  const fold = h(
    "details",
    {
      class: "numbers",
      toggle: () => {
        if (fold.children.length === 1) fold.append(make());
      },
    },
    h("summary", {}, title),
  );
  return fold;
}

/** A verdict: a sign, a word, and a colour that adds nothing. */
function verdictMark(kind, words) {
  const sign = { passed: "\u2713", failed: "\u2717", inconclusive: "~" }[kind];
  return h(
    "span",
    { class: `mark ${kind}` },
    sign ? h("span", { "aria-hidden": "true" }, sign + "\u00a0") : null,
    words,
  );
}
