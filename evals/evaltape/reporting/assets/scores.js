/* Means: scores against gates, in tables whose charts show what their numbers say. */

/** Scores of each model per metric, with the computed baseline, intervals and gates. */
function scoresSection() {
  const axis = axisOver([0, 0.1, ...scoreEnds()]);
  const { package: computedBy, stemmer } = data.rouge;
  const note =
    `Mean ROUGE F1 per sample, from 0 to 1, higher is better (${computedBy}, ` +
    `${stemmer ? "with" : "without"} stemming). ` +
    "Intervals are two-sided, 95%, of the mean over samples. A failed sample is counted, not scored.";
  const bodies = data.metrics.map((metric) => scoreRows(metric, axis));
  const head = [
    ["Model"],
    ["", "chart"],
    ["Mean", "number"],
    ["95% interval", "number wide"],
    [data.models.some(hasGates) ? "Gate" : "", "number"],
    ["", "verdict"],
  ];
  return section(
    "scores",
    "Scores",
    note,
    null,
    scoreLegend(),
    figures("Mean scores with intervals and gates", head, bodies, axis),
  );
}

/** A table whose second column holds charts over one axis. A column without a title is named, unseen, by its class. */
function figures(caption, head, bodies, axis) {
  const titles = head.map(([title, kind]) =>
    h("th", { scope: "col", class: kind }, title || h("span", { class: "unseen" }, kind)),
  );
  const under = [h("td", {}), h("td", { class: "chart" }, axisNumbers(axis)), h("td", { colspan: head.length - 2 })];
  return h(
    "table",
    { class: "figures" },
    h("caption", { class: "unseen" }, caption),
    h("thead", {}, h("tr", {}, titles)),
    bodies,
    h("tfoot", { "aria-hidden": "true" }, h("tr", {}, under)),
  );
}

function scoreEnds() {
  const intervals = [...data.models, ...data.computed].flatMap((model) => Object.values(model.scores));
  const gates = data.models.flatMap((model) => Object.values(model.gates));
  return [...intervals.map((interval) => interval.high), ...gates.map((gate) => gate.threshold)];
}

function scoreLegend() {
  const sign = (...shapes) => s("svg", { width: 26, height: 16, "aria-hidden": "true" }, shapes);
  const items = [
    [sign(s("rect", { class: "bar", x: 0, y: 4, width: 26, height: 8 })), "mean"],
    [sign(...whisker("2", "24", 8)), "95% interval"],
    ...(data.models.some(hasGates) ? [[sign(...gateMark("13", 16)), "gate"]] : []),
    ...data.computed.map((lead) => [
      sign(s("line", { class: "lead", x1: 13, x2: 13, y1: 0, y2: 16 })),
      `${lead.name} of the input`,
    ]),
  ];
  return h(
    "ul",
    { class: "legend" },
    items.map(([shape, words]) => h("li", {}, shape, words)),
  );
}

function scoreRows(metric, axis) {
  const leads = data.computed.map((lead) => lead.scores[metric]).filter(Boolean);
  const title = h("tr", { class: "group" }, h("th", { colspan: 6, scope: "rowgroup" }, metric));
  const models = data.models.map((model) =>
    scoreRow(model.key, model.scores[metric], gateOf(model, metric), axis, leads),
  );
  const computed = data.computed.map((lead) => scoreRow(lead.name, lead.scores[metric], null, axis, leads, "computed"));
  return h("tbody", {}, title, models, computed);
}

function hasGates(model) {
  return Object.keys(model.gates).length > 0;
}

function gateOf(model, metric) {
  const gate = Object.hasOwn(model.gates, metric) ? model.gates[metric] : null;
  return gate && { ...gate, failed: model.failed };
}

function scoreRow(name, score, gate, axis, leads, kind) {
  return h(
    "tr",
    { class: kind },
    h("th", { scope: "row" }, name),
    h("td", { class: "chart" }, scoreChart(score, gate, axis, leads)),
    h("td", { class: "number" }, score ? shown.score(score.mean) : "\u2013"),
    h("td", { class: "number wide" }, score ? `${shown.score(score.low)} to ${shown.score(score.high)}` : "\u2013"),
    h("td", { class: "number gate" }, gate ? String(gate.threshold) : ""),
    h(
      "td",
      { class: "verdict" },
      gate ? gateVerdict(score, gate) : score ? "" : h("span", { class: "quiet" }, "none answered"),
    ),
  );
}

function gateVerdict(score, gate) {
  if (gate.passed === null) return verdictMark("open", "not checked");
  if (gate.passed) return verdictMark("passed", "holds");
  if (!score) return verdictMark("failed", "none answered");
  return verdictMark(
    "failed",
    score.mean >= gate.threshold ? `${gate.failed} failed` : `${shown.score(gate.threshold - score.mean)} short`,
  );
}

function scoreChart(score, gate, axis, leads) {
  const bar = score ? [s("rect", { class: "bar", x: 0, width: axis.at(score.mean), y: 10, height: 10 })] : [];
  const ends = score ? whisker(axis.at(score.low), axis.at(score.high), 15) : [];
  const lines = leads.map((lead) =>
    s("line", { class: "lead", x1: axis.at(lead.mean), x2: axis.at(lead.mean), y1: 0, y2: "100%" }),
  );
  const mark = gate ? gateMark(axis.at(gate.threshold), 30) : [];
  return s("svg", { class: "plot", height: 30, "aria-hidden": "true" }, gridLines(axis), bar, lines, ends, mark);
}

function whisker(from, to, y) {
  const cap = (x) => s("line", { class: "whisker", x1: x, x2: x, y1: y - 4, y2: y + 4 });
  return [s("line", { class: "whisker", x1: from, x2: to, y1: y, y2: y }), cap(from), cap(to)];
}

function gateMark(x, height) {
  const head = s("path", { class: "gate-head", d: "M-4,0 h8 l-4,5 z" });
  return [
    s("line", { class: "gate-line", x1: x, x2: x, y1: 0, y2: height }),
    s("svg", { x, overflow: "visible" }, head),
  ];
}
