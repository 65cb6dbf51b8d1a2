/* Means: scores against gates, comparisons, and baseline against tuned. Tables whose charts show what their numbers say. */

/** Scores of each model per metric, with the computed baseline, intervals and gates. */
function scoresSection() {
  const axis = axisOver([0, 0.1, ...scoreEnds()]);
  const { package: computedBy, stemmer } = data.rouge;
  const note = `Mean ROUGE F1 per sample, from 0 to 1, higher is better (${computedBy}, ${stemmer ? "with" : "without"} stemming). `
    + "Intervals are 95% percentile bootstrap over samples. A failed sample is counted, not scored.";
  const bodies = data.metrics.map((metric) => scoreRows(metric, axis));
  const head = [["Model"], ["", "chart"], ["Mean", "number"], ["95% interval", "number wide"], [data.models.some(hasGates) ? "Gate" : "", "number"], ["", "verdict"]];
  return section("scores", "Scores", note, null, scoreLegend(),
    figures("Mean scores with intervals and gates", head, bodies, axis));
}

/** A table whose second column holds charts over one axis. A column without a title is named, unseen, by its class. */
function figures(caption, head, bodies, axis) {
  const titles = head.map(([title, kind]) => h("th", { scope: "col", class: kind }, title || h("span", { class: "unseen" }, kind)));
  const under = [h("td", {}), h("td", { class: "chart" }, axisNumbers(axis)), h("td", { colspan: head.length - 2 })];
  return h("table", { class: "figures" },
    h("caption", { class: "unseen" }, caption),
    h("thead", {}, h("tr", {}, titles)),
    bodies,
    h("tfoot", { "aria-hidden": "true" }, h("tr", {}, under)));
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
    ...data.computed.map((lead) => [sign(s("line", { class: "lead", x1: 13, x2: 13, y1: 0, y2: 16 })), `${lead.name} of the input`]),
  ];
  return h("ul", { class: "legend" }, items.map(([shape, words]) => h("li", {}, shape, words)));
}

function scoreRows(metric, axis) {
  const leads = data.computed.map((lead) => lead.scores[metric]).filter(Boolean);
  const title = h("tr", { class: "group" }, h("th", { colspan: 6, scope: "rowgroup" }, metric));
  const models = data.models.map((model) => scoreRow(model.key, model.scores[metric], gateOf(model, metric), axis, leads));
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
  return h("tr", { class: kind },
    h("th", { scope: "row" }, name),
    h("td", { class: "chart" }, scoreChart(score, gate, axis, leads)),
    h("td", { class: "number" }, score ? shown.score(score.mean) : "\u2013"),
    h("td", { class: "number wide" }, score ? `${shown.score(score.low)} to ${shown.score(score.high)}` : "\u2013"),
    h("td", { class: "number gate" }, gate ? String(gate.threshold) : ""),
    h("td", { class: "verdict" }, gate ? gateVerdict(score, gate) : score ? "" : h("span", { class: "quiet" }, "none answered")));
}

function gateVerdict(score, gate) {
  if (gate.passed === null) return verdictMark("open", "not checked");
  if (gate.passed) return verdictMark("passed", "holds");
  if (!score) return verdictMark("failed", "none answered");
  return verdictMark("failed", score.mean >= gate.threshold ? `${gate.failed} failed` : `${shown.score(gate.threshold - score.mean)} short`);
}

function scoreChart(score, gate, axis, leads) {
  const bar = score ? [s("rect", { class: "bar", x: 0, width: axis.at(score.mean), y: 10, height: 10 })] : [];
  const ends = score ? whisker(axis.at(score.low), axis.at(score.high), 15) : [];
  const lines = leads.map((lead) => s("line", { class: "lead", x1: axis.at(lead.mean), x2: axis.at(lead.mean), y1: 0, y2: "100%" }));
  const mark = gate ? gateMark(axis.at(gate.threshold), 30) : [];
  return s("svg", { class: "plot", height: 30, "aria-hidden": "true" }, gridLines(axis), bar, lines, ends, mark);
}

function whisker(from, to, y) {
  const cap = (x) => s("line", { class: "whisker", x1: x, x2: x, y1: y - 4, y2: y + 4 });
  return [s("line", { class: "whisker", x1: from, x2: to, y1: y, y2: y }), cap(from), cap(to)];
}

function gateMark(x, height) {
  const head = s("path", { class: "gate-head", d: "M-4,0 h8 l-4,5 z" });
  return [s("line", { class: "gate-line", x1: x, x2: x, y1: 0, y2: height }), s("svg", { x, overflow: "visible" }, head)];
}

/* ---------------------------------------------------------------- comparisons */

/** The suite's comparisons: the paired difference, its interval, p-value and verdict. */
function comparisonsSection() {
  if (!data.comparisons.length) return null;
  const rows = data.comparisons.flatMap((comparison) => comparison.metrics);
  const found = rows.filter((row) => "difference" in row);
  const axis = axisOver([0, ...rows.map((row) => row.bound), ...found.flatMap((row) => [row.low, row.high])]);
  const head = [["Metric"], ["", "chart"], ["Difference", "number"], ["Interval", "number wide"], ["Bound", "number"], ["p", "number wide"], ["", "verdict"]];
  const note = "Candidate less baseline, paired over the samples both answered. A comparison passes where its whole interval "
    + "reaches the bound, fails where none of it does, and is inconclusive between. p: two-sided bootstrap, no difference.";
  return section("comparisons", "Comparisons", note, null,
    figures("Comparisons with intervals and verdicts", head, data.comparisons.map((comparison) => comparisonRows(comparison, axis)), axis));
}

function comparisonRows(comparison, axis) {
  const samples = Math.max(0, ...comparison.metrics.map((row) => row.samples || 0));
  const words = ` ${comparison.candidate} less ${comparison.baseline}, ${counted(samples, "sample")}, ${shown.share(comparison.confidence)} interval`;
  const title = h("tr", { class: "group" }, h("th", { colspan: 7, scope: "rowgroup" }, comparison.name, h("span", { class: "quiet" }, words)));
  return h("tbody", {}, title, comparison.metrics.map((row) => comparisonRow(row, axis)));
}

function comparisonRow(row, axis) {
  const known = "difference" in row;
  return h("tr", {},
    h("th", { scope: "row" }, row.metric),
    h("td", { class: "chart" }, differenceChart(row, axis)),
    h("td", { class: "number" }, known ? shown.change(row.difference) : "\u2013"),
    h("td", { class: "number wide" }, known ? `${shown.change(row.low)} to ${shown.change(row.high)}` : "\u2013"),
    h("td", { class: "number" }, `\u2265 ${shown.change(row.bound)}`),
    h("td", { class: "number wide" }, known ? shown.chance(row.p_value) : "\u2013"),
    h("td", { class: "verdict" }, verdictMark(known ? row.verdict : "failed", known ? row.verdict : "no pair answered")));
}

function differenceChart(row, axis) {
  const zero = s("line", { class: "zero", x1: axis.at(0), x2: axis.at(0), y1: 0, y2: "100%" });
  const dot = () => [...whisker(axis.at(row.low), axis.at(row.high), 15), s("circle", { class: "dot after", cx: axis.at(row.difference), cy: 15, r: 4.5 })];
  const found = "difference" in row ? dot() : [];
  return s("svg", { class: "plot", height: 30, "aria-hidden": "true" }, gridLines(axis), zero, gateMark(axis.at(row.bound), 30), found);
}

/* ---------------------------------------------------------------- baseline against tuned */

/** Per pair of models and metric: both means on the samples both answered, and how many samples got better or worse. */
function sidesSection() {
  if (!pairs.length) return null;
  const sides = pairs.flatMap((pair) => data.metrics.map((_, metric) => sideOf(pair, metric)));
  const axis = axisOver([0, 0.1, ...sides.flatMap((side) => [side.before, side.after]).filter((value) => value !== undefined)]);
  const tuned = pairs.every(([, candidate]) => data.models[candidate].kind === "finetuned");
  const head = [["Metric"], ["", "chart"], ["Before", "number"], ["After", "number"], ["Change", "number"], ["Worse, same, better", "split"]];
  const legend = h("ul", { class: "legend" },
    h("li", {}, s("svg", { width: 14, height: 16, "aria-hidden": "true" }, s("circle", { class: "dot before", cx: 7, cy: 8, r: 4.5 })), "before: the baseline"),
    h("li", {}, s("svg", { width: 14, height: 16, "aria-hidden": "true" }, s("circle", { class: "dot after", cx: 7, cy: 8, r: 4.5 })), `after: the ${tuned ? "tuned model" : "candidate"}`));
  return section("sides", `Baseline against ${tuned ? "tuned" : "candidate"}`, "Means over the samples that both models answered, and how many samples changed which way.", null, legend,
    figures("Means of baseline and candidate", head, pairs.map((pair, i) => sideRows(pair, sides.slice(i * data.metrics.length, (i + 1) * data.metrics.length), axis)), axis));
}

function sideOf(pair, metric) {
  const both = data.samples.filter((sample) => gainOf(sample, metric, pair) !== undefined);
  const gains = both.map((sample) => gainOf(sample, metric, pair));
  const [before, after] = pair.map((model) => (both.length ? mean(both.map((sample) => scoreOf(sample, model, metric))) : undefined));
  const counts = ["worse", "same", "better"].map((kind) => gains.filter((gain) => directionOf(gain) === kind).length);
  return { metric: data.metrics[metric], before, after, counts, samples: both.length };
}

function sideRows(pair, sides, axis) {
  const [baseline, candidate] = pair.map((model) => data.models[model]);
  const words = ` against ${baseline.key}, ${counted(sides[0].samples, "sample")}`;
  const name = candidate.key + (candidate.kind === "finetuned" ? " (tuned)" : "");
  const title = h("tr", { class: "group" }, h("th", { colspan: 6, scope: "rowgroup" }, name, h("span", { class: "quiet" }, words)));
  return h("tbody", {}, title, sides.map((side) => sideRow(side, axis)));
}

function sideRow(side, axis) {
  const known = side.samples > 0;
  return h("tr", {},
    h("th", { scope: "row" }, side.metric),
    h("td", { class: "chart" }, s("svg", { class: "plot", height: 30, "aria-hidden": "true" }, gridLines(axis), known ? dumbbell(side, axis) : [])),
    h("td", { class: "number" }, known ? shown.score(side.before) : "\u2013"),
    h("td", { class: "number" }, known ? shown.score(side.after) : "\u2013"),
    h("td", { class: `number ${known ? directionOf(side.after - side.before) : ""}` }, known ? shown.change(side.after - side.before) : "\u2013"),
    h("td", { class: "split" }, known ? splitBar(side) : h("span", { class: "quiet" }, "no sample answered by both")));
}

function dumbbell(side, axis) {
  const [from, to] = [axis.at(side.before), axis.at(side.after)];
  const rod = s("line", { class: `rod ${directionOf(side.after - side.before)}`, x1: from, x2: to, y1: 15, y2: 15 });
  return [rod, s("circle", { class: "dot before", cx: from, cy: 15, r: 4.5 }), s("circle", { class: "dot after", cx: to, cy: 15, r: 4.5 })];
}

function splitBar(side) {
  const [worse, same] = side.counts.map((count) => count / side.samples);
  const part = (kind, from, count) => s("rect", { class: kind, x: percent(from), width: percent(count / side.samples), y: 0, height: 8 });
  const bar = s("svg", { class: "plot", height: 8, "aria-hidden": "true" },
    part("worse", 0, side.counts[0]), part("same", worse, side.counts[1]), part("better", worse + same, side.counts[2]));
  const words = ["worse", "same", "better"].map((kind, i) => h("span", { class: kind }, `${shown.count(side.counts[i])} ${kind}`));
  return h("div", { class: "counts" }, bar, h("div", { class: "words" }, words));
}
