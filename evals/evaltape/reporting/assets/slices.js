/* Slices: the scores of samples that share a column's value. */

const SLICE_COLUMNS = 6;

/** Per model and column the slices in the chosen metric, the worst first. */
function slicesSection() {
  if (!data.models.some((model) => model.slices.length)) return null;
  const body = h("div", {});
  whenChosen(() => body.replaceChildren(sliceFigures()));
  const note =
    "The same means, by the samples that share a column's value; the worst first. A slice fails its gate where its whole " +
    "interval misses it. Of many slices some look bad by chance alone.";
  return section("slices", "Slices", note, null, metricChooser("metric-slices"), body);
}

function sliceFigures() {
  const metric = chosenMetric();
  const groups = data.models.flatMap((model) =>
    [...new Set(model.slices.map((it) => it.column))].map((column) => [model, column]),
  );
  const scores = groups.flatMap(([model]) => model.slices.map((it) => it.scores[metric.name]).filter(Boolean));
  const ends = scores.flatMap((score) => [score.mean, score.low, score.high]).filter(isNumber);
  const gates = data.models.map((model) => model.slice_gates[metric.name]).filter(Boolean);
  const axis = axisOver([0, ...(scaleOf(metric) === "share" ? [0.1] : []), ...ends, ...gates.map((it) => it.threshold)]);
  const head = [
    ["Slice"],
    ["", "chart"],
    ["Mean", "number"],
    ["95% interval", "number wide"],
    [gates.length ? "Gate" : "", "number"],
    ["", "verdict"],
  ];
  const bodies = groups.map(([model, column]) => [sliceRows(model, column, metric, axis), axis]);
  return figures(`Slices in ${metric.name}`, head, bodies);
}

function sliceRows(model, column, metric, axis) {
  const slices = model.slices.filter((it) => it.column === column).sort((a, b) => badness(a, metric) - badness(b, metric));
  const words = `by ${column}, ${counted(slices.length, "slice")}`;
  const gate = model.slice_gates[metric.name];
  const isLast = model.slices[model.slices.length - 1].column === column;
  return h(
    "tbody",
    {},
    groupRow(model.key, words, SLICE_COLUMNS),
    slices.map((it) => sliceRow(it, gate, metric, axis)),
    remarkRow(SLICE_COLUMNS, gate && isLast && fragilityWords(`${model.key}, its slice gate`, gate.fragility)),
  );
}

function badness(slice, metric) {
  const score = slice.scores[metric.name];
  return score ? goodOf(score.mean, metric) : -Infinity;
}

function sliceRow(slice, gate, metric, axis) {
  const score = slice.scores[metric.name];
  const gated = gate && slice.gated ? gate : null;
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, slice.value, h("span", { class: "quiet" }, ` ${counted(slice.samples, "sample")}`)),
    h("td", { class: "chart" }, scoreChart(score, gated, axis, [])),
    h("td", { class: "number" }, score ? shown.score(score.mean, metric) : NONE),
    h("td", { class: "number wide" }, score ? shown.ends(score, metric) : NONE),
    h("td", { class: "number gate" }, gated ? gateWords(gated, metric) : ""),
    h("td", { class: "verdict" }, gate ? sliceVerdict(slice, gate, metric) : ""),
  );
}

function sliceVerdict(slice, gate, metric) {
  if (!slice.gated) return h("span", { class: "quiet" }, "too few to gate");
  if (gate.passed === null) return verdictMark("open", "not checked");
  const verdict = slice.verdicts[metric.name];
  if (verdict === "passed") return verdictMark("passed", "holds");
  return verdict === "failed" ? verdictMark("failed", "fails") : verdictMark("open", verdict || "not checked");
}
