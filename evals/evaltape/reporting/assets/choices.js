/* What sections share: the chosen metric, baseline and candidate, and what a sample scored under them. */

const modelAt = new Map(data.models.map((model, i) => [model.key, i]));
const pairs = knownPairs();
const bounded = data.comparisons.flatMap((comparison) => comparison.metrics)[0];
const choice = {
  metric: bounded ? data.metrics.indexOf(bounded.metric) : 0,
  baseline: pairs.length ? pairs[0][0] : null,
  candidate: pairs.length ? pairs[0][1] : null,
};
const redraws = [];

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

/** Buttons to choose the metric with, the same choice in every section; nothing where there is only one. */
function metricChooser(name) {
  if (data.metrics.length < 2) return null;
  const inputs = data.metrics.map((metric, i) =>
    h("input", { type: "radio", name, value: i, change: () => choose({ metric: i }) }),
  );
  redraws.push(() => {
    inputs[choice.metric].checked = true;
  });
  inputs[choice.metric].checked = true;
  const labels = inputs.map((input, i) => h("label", {}, input, h("span", {}, data.metrics[i])));
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
  return prediction && prediction.scores ? prediction.scores[metric] : undefined;
}

/** Candidate less baseline in the chosen metric; undefined where one of them has no score. */
function gainOf(sample, metric = choice.metric, pair = [choice.baseline, choice.candidate]) {
  if (pair[0] === null) return undefined;
  const [before, after] = pair.map((model) => scoreOf(sample, model, metric));
  return before === undefined || after === undefined ? undefined : after - before;
}

/** What a gain is called; differences of rounding are none. */
function directionOf(gain) {
  return Math.abs(gain) < 1e-9 ? "same" : gain > 0 ? "better" : "worse";
}

/** Where a text is shown in one line. */
function excerpt(text, length = 160) {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > length ? line.slice(0, length - 1).trimEnd() + "\u2026" : line;
}
