/* What sections share: the suite, the chosen metric, baseline and candidate, and what a sample scored under them. */

const FLAT = { decimals: 4, higher: true, bounds: [0, 1], unit: "", named: true };
let modelAt = new Map();
let metricAt = new Map();
let pairs = [];
let choice = {};
let redraws = [];

/** Look at a suite: nothing of what was chosen in another one stays. */
function startSuite(suite) {
  data = suite;
  modelAt = new Map(data.models.map((model, i) => [model.key, i]));
  metricAt = new Map(data.metrics.map((metric, i) => [metric.name, i]));
  pairs = knownPairs();
  const bounded = data.comparisons.flatMap((comparison) => comparison.metrics)[0];
  const failed = data.verdict.reasons.find((reason) => metricAt.has(reason.metric));
  choice = {
    metric: failed ? metricAt.get(failed.metric) : bounded ? metricAt.get(bounded.metric) : 0,
    baseline: pairs.length ? pairs[0][0] : null,
    candidate: pairs.length ? pairs[0][1] : null,
  };
  redraws = [];
  startSamples(failed && modelAt.get(failed.model));
}

/** [baseline, candidate] of each comparison and job, as positions; of the first two models where there is neither. */
function knownPairs() {
  const named = [
    ...data.comparisons.map((it) => [it.baseline, it.candidate]),
    ...data.jobs.map((it) => [it.base, it.key]),
  ];
  const found = named.map((pair) => pair.map((key) => modelAt.get(key))).filter((pair) => !pair.includes(undefined));
  const distinct = [...new Map(found.map((pair) => [pair.join(), pair])).values()];
  return distinct.length || data.models.length < 2 ? distinct : [[0, 1]];
}

/** Draw now, and again whenever a choice changes. */
function whenChosen(draw) {
  redraws.push(draw);
  draw();
}

function choose(changes) {
  Object.assign(choice, changes);
  for (const redraw of redraws) redraw();
}

/** Look at a metric, and at the samples that a model answered worst by it. */
function focusOn(model, metric) {
  const pair = pairs.find(([, candidate]) => candidate === model);
  startSort(model, metric);
  choose({ metric, ...(pair ? { baseline: pair[0], candidate: pair[1] } : {}) });
}

/** The metric of a name. */
function metricNamed(name) {
  return data.metrics[metricAt.get(name)] || FLAT;
}

function chosenMetric() {
  return data.metrics[choice.metric];
}

/** Which axis a metric's scores stand on: those from 0 to 1 share one. */
function scaleOf(metric) {
  return metric.bounds[0] === 0 && metric.bounds[1] === 1 ? "share" : metric.name;
}

/** Buttons to choose one of the suite's own metrics with, the same choice in every section; nothing for a single one. */
function metricChooser(name) {
  const named = data.metrics.map((_, i) => i).filter((i) => data.metrics[i].named);
  if (named.length < 2) return null;
  const inputs = named.map((i) => h("input", { type: "radio", name, value: i, change: () => choose({ metric: i }) }));
  const check = () => {
    inputs[named.indexOf(choice.metric)].checked = true;
  };
  redraws.push(check);
  check();
  const labels = inputs.map((input, i) => h("label", {}, input, h("span", {}, data.metrics[named[i]].name)));
  return h("fieldset", { class: "segments" }, h("legend", {}, "Metric"), labels);
}

/** Two lists to choose baseline and candidate with; nothing where there are no more than two models. */
function pairChooser() {
  if (data.models.length < 3) return null;
  const lists = ["baseline", "candidate"].map((side) => {
    const options = data.models.map((model, i) => h("option", { value: i }, model.key));
    const list = h("select", { change: () => choosePair(side, Number(list.value)) }, options);
    whenChosen(() => {
      list.value = String(choice[side]);
    });
    return h("label", {}, side === "baseline" ? "Baseline" : "Candidate", list);
  });
  return h("div", { class: "pair" }, lists);
}

/** Whoever is chosen on both sides changes places with the other. */
function choosePair(side, model) {
  const other = side === "baseline" ? "candidate" : "baseline";
  choose(choice[other] === model ? { [side]: model, [other]: choice[side] } : { [side]: model });
}

/** The score of a model's prediction for a sample in the chosen metric; undefined where there is none. */
function scoreOf(sample, model, metric = choice.metric) {
  const prediction = sample.predictions[model];
  const score = prediction && prediction.scores ? prediction.scores[metric] : undefined;
  return isNumber(score) ? score : undefined;
}

/** Candidate less baseline in the chosen metric; undefined where one of them has no score. */
function gainOf(sample, metric = choice.metric, pair = [choice.baseline, choice.candidate]) {
  if (pair[0] === null) return undefined;
  const [before, after] = pair.map((model) => scoreOf(sample, model, metric));
  return before === undefined || after === undefined ? undefined : after - before;
}

/** What a change is called; differences of rounding are none, nor those of a metric that the suite doesn't name. */
function directionOf(change, metric = chosenMetric()) {
  if (Math.abs(change) < 1e-9 || !metric.named) return "same";
  return change > 0 === metric.higher ? "better" : "worse";
}

/** A change as a gain: over 0 where it is for the better. */
function goodOf(change, metric = chosenMetric()) {
  return metric.higher ? change : -change;
}

/** Where a text is shown in one line. */
function excerpt(text, length = 160) {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > length ? line.slice(0, length - 1).trimEnd() + "\u2026" : line;
}
