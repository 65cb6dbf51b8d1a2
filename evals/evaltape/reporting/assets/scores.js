/* Means: scores against gates, in tables whose charts show what their numbers say. */

const SCORE_COLUMNS = 6;
const MOST_NAMED = 5;

/** Scores of each model per metric, with the computed baseline, intervals and gates. */
function scoresSection() {
  const axes = scoreAxes();
  const bodies = data.metrics.map((metric) => [scoreRows(metric, axes.get(scaleOf(metric))), axes.get(scaleOf(metric))]);
  if (data.tests.length) bodies.push([testRows(), null]);
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
    "Mean score per sample. Intervals are 95%, two-sided. A failed sample is counted, not scored.",
    null,
    scoreLegend(),
    figures("Mean scores with intervals and gates", head, bodies),
  );
}

/** A table whose second column holds charts. `bodies` are [rows, axis]; the numbers of an axis follow its last rows.
    A column without a title is named, unseen, by its class. */
function figures(caption, head, bodies) {
  const titles = head.map(([title, kind]) =>
    h("th", { scope: "col", class: kind }, title || h("span", { class: "unseen" }, kind)),
  );
  const parts = bodies.flatMap(([rows, axis], i) =>
    axis === null || (bodies[i + 1] && bodies[i + 1][1] === axis) ? [rows] : [rows, axisRow(axis, head.length)],
  );
  return h(
    "table",
    { class: "figures" },
    h("caption", { class: "unseen" }, caption),
    h("thead", {}, h("tr", {}, titles)),
    parts,
  );
}

function axisRow(axis, columns) {
  const cells = [h("td", {}), h("td", { class: "chart" }, axisNumbers(axis)), h("td", { colspan: columns - 2 })];
  return h("tbody", { class: "under", "aria-hidden": "true" }, h("tr", {}, cells));
}

/** An axis for each scale of the suite's metrics. */
function scoreAxes() {
  const axes = new Map();
  for (const scale of new Set(data.metrics.map(scaleOf))) {
    const ends = data.metrics.filter((metric) => scaleOf(metric) === scale).flatMap(scoreEnds);
    axes.set(scale, axisOver([0, ...(scale === "share" ? [0.1] : []), ...ends]));
  }
  return axes;
}

function scoreEnds(metric) {
  const scores = [...data.models, ...data.computed].map((model) => model.scores[metric.name]).filter(Boolean);
  const gates = data.models.map((model) => gateOf(model, metric.name)).filter(Boolean);
  const ends = scores.flatMap((score) => [score.mean, score.low, score.high]).filter(isNumber);
  return [...ends, ...gates.map((gate) => gate.threshold)];
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
  const leads = data.computed.map((lead) => lead.scores[metric.name]).filter(Boolean);
  const models = data.models.map((model) => {
    const gate = gateOf(model, metric.name);
    const row = scoreRow(model.key, model.scores[metric.name], gate, metric, axis, leads);
    return [row, remarkRow(SCORE_COLUMNS, gate && fragilityWords(model.key, gate.fragility))];
  });
  const computed = data.computed
    .filter((lead) => lead.scores[metric.name])
    .map((lead) => scoreRow(lead.name, lead.scores[metric.name], null, metric, axis, leads, "computed"));
  return h("tbody", {}, groupRow(metric.name, metricWords(metric), SCORE_COLUMNS), models, computed);
}

/** A heading within a table. */
function groupRow(title, words, columns) {
  const quiet = words ? h("span", { class: "quiet" }, ` ${words}`) : null;
  return h("tr", { class: "group" }, h("th", { colspan: columns, scope: "rowgroup" }, title, quiet));
}

/** What a reader should know of the row above; nothing where there are no words. */
function remarkRow(columns, ...words) {
  const known = words.filter(Boolean);
  return known.length ? h("tr", { class: "remark" }, h("td", { colspan: columns }, known.map((it) => h("p", {}, it)))) : null;
}

/** How few samples turn a verdict, and the first of them. */
function fragilityWords(title, fragility) {
  if (!fragility) return null;
  const named = fragility.ids.slice(0, MOST_NAMED).flatMap((id, i) => [i ? ", " : "", sampleLink(id)]);
  const more = fragility.samples > MOST_NAMED ? ", \u2026" : "";
  const turn = `${counted(fragility.samples, "sample")} fewer ${fragility.samples === 1 ? "turns" : "turn"} it`;
  return [`${title}: ${turn} to ${fragility.becomes}: `, ...named, more];
}

/** What a reader should know of a metric: its unit, its direction, what it depends on. */
function metricWords(metric) {
  const { package: computedBy, tokenizer, stemmer, references } = metric.description;
  return [
    metric.unit && metric.unit !== metric.name ? `in ${metric.unit}` : null,
    metric.higher ? "higher is better" : metric.name === "words" && !metric.named ? "of the answers" : "lower is better",
    computedBy,
    tokenizer && tokenizer !== "rouge" ? `${tokenizer} words` : null,
    stemmer ? "with stemming" : null,
    references ? `${references} over references` : null,
  ]
    .filter((it) => typeof it === "string" && it)
    .join(", ");
}

function hasGates(model) {
  return Object.keys(model.gates).length > 0;
}

function gateOf(model, metric) {
  const gate = Object.hasOwn(model.gates, metric) ? model.gates[metric] : null;
  return gate && { ...gate, failed: model.failed, unscored: model.unscored[metric] || 0 };
}

function scoreRow(name, score, gate, metric, axis, leads, kind) {
  return h(
    "tr",
    { class: kind },
    h("th", { scope: "row" }, name),
    h("td", { class: "chart" }, scoreChart(score, gate, axis, leads)),
    h("td", { class: "number" }, score ? shown.score(score.mean, metric) : NONE),
    h("td", { class: "number wide" }, score ? shown.ends(score, metric) : NONE),
    h("td", { class: "number gate" }, gate ? gateWords(gate, metric) : ""),
    h(
      "td",
      { class: "verdict" },
      gate ? gateVerdict(score, gate, metric) : score ? "" : h("span", { class: "quiet" }, "none scored"),
    ),
  );
}

/** A gate as the suite states it; where lower is better it is the most. */
function gateWords(gate, metric) {
  return metric.higher ? String(gate.threshold) : `\u2264 ${gate.threshold}`;
}

function gateVerdict(score, gate, metric) {
  if (gate.passed === null) return verdictMark("open", "not checked");
  if (gate.passed) return verdictMark("passed", "holds");
  if (!score) return verdictMark("failed", "none scored");
  const distance = metric.higher ? gate.threshold - score.mean : score.mean - gate.threshold;
  if (distance > 0) return verdictMark("failed", `${shown.score(distance, metric)} ${metric.higher ? "short" : "over"}`);
  return verdictMark("failed", gate.unscored ? `${gate.unscored} not scored` : `${gate.failed} failed`);
}

function scoreChart(score, gate, axis, leads) {
  const from = score ? axis.at(Math.min(0, score.mean)) : null;
  const bar = score ? [s("rect", { class: "bar", x: from, width: axis.span(0, score.mean), y: 10, height: 10 })] : [];
  const ends = score ? intervalMark(score, axis) : [];
  const lines = leads.map((lead) =>
    s("line", { class: "lead", x1: axis.at(lead.mean), x2: axis.at(lead.mean), y1: 0, y2: "100%" }),
  );
  const mark = gate ? gateMark(axis.at(gate.threshold), 30) : [];
  return s("svg", { class: "plot", height: 30, "aria-hidden": "true" }, gridLines(axis), bar, lines, ends, mark);
}

/** The whisker of an interval whose ends are both known. */
function intervalMark(it, axis) {
  return isNumber(it.low) && isNumber(it.high) ? whisker(axis.at(it.low), axis.at(it.high), 15) : [];
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

/** The gates that users wrote. */
function testRows() {
  const verdict = (passed) =>
    passed === null ? verdictMark("open", "not checked") : passed ? verdictMark("passed", "holds") : verdictMark("failed", "fails");
  const rows = data.tests.map((test) =>
    h(
      "tr",
      { class: "test" },
      h("th", { scope: "row", colspan: SCORE_COLUMNS - 1 }, test.id),
      h("td", { class: "verdict" }, verdict(test.passed)),
    ),
  );
  return h("tbody", {}, groupRow("Gates of your own", "", SCORE_COLUMNS), rows);
}
