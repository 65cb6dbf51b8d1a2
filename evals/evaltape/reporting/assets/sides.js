/* Baseline against tuned, or candidate: means on the samples both answered, and which way samples changed. */

/** Per pair of models and metric: both means on the samples both answered, and how many samples got better or worse. */
function sidesSection() {
  if (!pairs.length) return null;
  const sides = pairs.map((pair) => data.metrics.map((_, metric) => sideOf(pair, metric)));
  const axes = sideAxes(sides.flat());
  const tuned = pairs.every(([, candidate]) => data.models[candidate].kind === "finetuned");
  const head = [
    ["Metric"],
    ["", "chart"],
    ["Before", "number"],
    ["After", "number"],
    ["Change", "number"],
    ["Worse, same, better", "split"],
  ];
  const bodies = pairs.flatMap((pair, i) => sideBodies(pair, sides[i], axes));
  return section(
    "sides",
    `Baseline against ${tuned ? "tuned" : "candidate"}`,
    "Means over the samples that both models answered, and how many samples changed which way.",
    null,
    sideLegend(tuned),
    figures("Means of baseline and candidate", head, bodies),
  );
}

function sideLegend(tuned) {
  const item = (kind, words) => {
    const dot = s("circle", { class: `dot ${kind}`, cx: 7, cy: 8, r: 4.5 });
    return h("li", {}, s("svg", { width: 14, height: 16, "aria-hidden": "true" }, dot), words);
  };
  const items = [item("before", "before: the baseline"), item("after", `after: the ${tuned ? "tuned model" : "candidate"}`)];
  return h("ul", { class: "legend" }, items);
}

function sideAxes(sides) {
  const axes = new Map();
  for (const scale of new Set(sides.map((side) => scaleOf(side.metric)))) {
    const these = sides.filter((side) => scaleOf(side.metric) === scale);
    const values = these.flatMap((side) => [side.before, side.after]).filter(isNumber);
    axes.set(scale, axisOver([0, ...(scale === "share" ? [0.1] : []), ...values]));
  }
  return axes;
}

function sideOf(pair, at) {
  const metric = data.metrics[at];
  const both = data.samples.filter((sample) => gainOf(sample, at, pair) !== undefined);
  const gains = both.map((sample) => gainOf(sample, at, pair));
  const [before, after] = pair.map((model) =>
    both.length ? mean(both.map((sample) => scoreOf(sample, model, at))) : undefined,
  );
  const counts = ["worse", "same", "better"].map(
    (kind) => gains.filter((gain) => directionOf(gain, metric) === kind).length,
  );
  return { metric, before, after, counts, samples: both.length };
}

function sideBodies(pair, sides, axes) {
  const [baseline, candidate] = pair.map((model) => data.models[model]);
  const words = `against ${baseline.key}, ${counted(sides[0].samples, "sample")}`;
  const name = candidate.key + (candidate.kind === "finetuned" ? " (tuned)" : "");
  const scales = [...new Set(sides.map((side) => scaleOf(side.metric)))];
  return scales.map((scale, i) => {
    const these = sides.filter((side) => scaleOf(side.metric) === scale);
    const heading = i ? [] : [groupRow(name, words, PAIR_COLUMNS)];
    return [h("tbody", {}, heading, these.map((side) => sideRow(side, axes.get(scale)))), axes.get(scale)];
  });
}

function sideRow(side, axis) {
  const known = side.samples > 0;
  const change = known ? side.after - side.before : undefined;
  const plot = s(
    "svg",
    { class: "plot", height: 30, "aria-hidden": "true" },
    gridLines(axis),
    known ? dumbbell(side, axis) : [],
  );
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, side.metric.name),
    h("td", { class: "chart" }, plot),
    h("td", { class: "number" }, shown.score(side.before, side.metric)),
    h("td", { class: "number" }, shown.score(side.after, side.metric)),
    h("td", { class: `number ${known ? directionOf(change, side.metric) : ""}` }, shown.change(change, side.metric)),
    h("td", { class: "split" }, splitCell(side)),
  );
}

function dumbbell(side, axis) {
  const [from, to] = [axis.at(side.before), axis.at(side.after)];
  const kind = directionOf(side.after - side.before, side.metric);
  return [
    s("line", { class: `rod ${kind}`, x1: from, x2: to, y1: 15, y2: 15 }),
    s("circle", { class: "dot before", cx: from, cy: 15, r: 4.5 }),
    s("circle", { class: "dot after", cx: to, cy: 15, r: 4.5 }),
  ];
}

function splitCell(side) {
  if (!side.metric.named) return "";
  return side.samples ? splitBar(side) : h("span", { class: "quiet" }, "no sample scored by both");
}

function splitBar(side) {
  const [worse, same] = side.counts.map((count) => count / side.samples);
  const part = (kind, from, count) =>
    s("rect", { class: kind, x: percent(from), width: percent(count / side.samples), y: 0, height: 8 });
  const bar = s(
    "svg",
    { class: "plot", height: 8, "aria-hidden": "true" },
    part("worse", 0, side.counts[0]),
    part("same", worse, side.counts[1]),
    part("better", worse + same, side.counts[2]),
  );
  const words = ["worse", "same", "better"].map((kind, i) =>
    h("span", { class: kind }, `${shown.count(side.counts[i])} ${kind}`),
  );
  return h("div", { class: "counts" }, bar, h("div", { class: "words" }, words));
}
