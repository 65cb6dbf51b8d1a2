/* Pairs of models: the suite's comparisons, and baseline against tuned. */

/** The suite's comparisons: the paired difference, its interval and verdict. */
function comparisonsSection() {
  if (!data.comparisons.length) return null;
  const rows = data.comparisons.flatMap((comparison) => comparison.metrics);
  const found = rows.filter((row) => "difference" in row);
  const axis = axisOver([0, ...rows.map((row) => row.bound), ...found.flatMap((row) => [row.low, row.high])]);
  const head = [
    ["Metric"],
    ["", "chart"],
    ["Difference", "number"],
    ["Interval", "number wide"],
    ["Bound", "number"],
    ["", "verdict"],
  ];
  const note =
    "Candidate less baseline, paired over the samples both answered. A comparison passes where its whole interval " +
    "reaches the bound, fails where none of it does, and is inconclusive between. It never passes on fewer than 10 " +
    "pairs.";
  return section(
    "comparisons",
    "Comparisons",
    note,
    null,
    figures(
      "Comparisons with intervals and verdicts",
      head,
      data.comparisons.map((comparison) => comparisonRows(comparison, axis)),
      axis,
    ),
  );
}

function comparisonRows(comparison, axis) {
  const samples = Math.max(0, ...comparison.metrics.map((row) => row.samples || 0));
  const facts = [counted(samples, "sample"), `${shown.percent(2 * comparison.confidence - 1)} interval`];
  const words = ` ${[`${comparison.candidate} less ${comparison.baseline}`, ...facts].join(", ")}`;
  const title = h(
    "tr",
    { class: "group" },
    h("th", { colspan: 6, scope: "rowgroup" }, comparison.name, h("span", { class: "quiet" }, words)),
  );
  return h(
    "tbody",
    {},
    title,
    comparison.metrics.map((row) => comparisonRow(row, axis)),
  );
}

function comparisonRow(row, axis) {
  const known = "difference" in row;
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, row.metric),
    h("td", { class: "chart" }, differenceChart(row, axis)),
    h("td", { class: "number" }, known ? shown.change(row.difference) : "\u2013"),
    h("td", { class: "number wide" }, known ? `${shown.change(row.low)} to ${shown.change(row.high)}` : "\u2013"),
    h("td", { class: "number" }, `\u2265 ${shown.change(row.bound)}`),
    h(
      "td",
      { class: "verdict" },
      verdictMark(known ? row.verdict : "failed", known ? row.verdict : "no pair answered"),
    ),
  );
}

function differenceChart(row, axis) {
  const zero = s("line", { class: "zero", x1: axis.at(0), x2: axis.at(0), y1: 0, y2: "100%" });
  const dot = () => [
    ...whisker(axis.at(row.low), axis.at(row.high), 15),
    s("circle", { class: "dot after", cx: axis.at(row.difference), cy: 15, r: 4.5 }),
  ];
  const found = "difference" in row ? dot() : [];
  return s(
    "svg",
    { class: "plot", height: 30, "aria-hidden": "true" },
    gridLines(axis),
    zero,
    gateMark(axis.at(row.bound), 30),
    found,
  );
}

/* ---------------------------------------------------------------- baseline against tuned */

/** Per pair of models and metric: both means on the samples both answered, and how many samples got better or worse. */
function sidesSection() {
  if (!pairs.length) return null;
  const sides = pairs.flatMap((pair) => data.metrics.map((_, metric) => sideOf(pair, metric)));
  const axis = axisOver([
    0,
    0.1,
    ...sides.flatMap((side) => [side.before, side.after]).filter((value) => value !== undefined),
  ]);
  const tuned = pairs.every(([, candidate]) => data.models[candidate].kind === "finetuned");
  const head = [
    ["Metric"],
    ["", "chart"],
    ["Before", "number"],
    ["After", "number"],
    ["Change", "number"],
    ["Worse, same, better", "split"],
  ];
  const legend = h(
    "ul",
    { class: "legend" },
    h(
      "li",
      {},
      s(
        "svg",
        { width: 14, height: 16, "aria-hidden": "true" },
        s("circle", { class: "dot before", cx: 7, cy: 8, r: 4.5 }),
      ),
      "before: the baseline",
    ),
    h(
      "li",
      {},
      s(
        "svg",
        { width: 14, height: 16, "aria-hidden": "true" },
        s("circle", { class: "dot after", cx: 7, cy: 8, r: 4.5 }),
      ),
      `after: the ${tuned ? "tuned model" : "candidate"}`,
    ),
  );
  return section(
    "sides",
    `Baseline against ${tuned ? "tuned" : "candidate"}`,
    "Means over the samples that both models answered, and how many samples changed which way.",
    null,
    legend,
    figures(
      "Means of baseline and candidate",
      head,
      pairs.map((pair, i) => sideRows(pair, sides.slice(i * data.metrics.length, (i + 1) * data.metrics.length), axis)),
      axis,
    ),
  );
}

function sideOf(pair, metric) {
  const both = data.samples.filter((sample) => gainOf(sample, metric, pair) !== undefined);
  const gains = both.map((sample) => gainOf(sample, metric, pair));
  const [before, after] = pair.map((model) =>
    both.length ? mean(both.map((sample) => scoreOf(sample, model, metric))) : undefined,
  );
  const counts = ["worse", "same", "better"].map((kind) => gains.filter((gain) => directionOf(gain) === kind).length);
  return { metric: data.metrics[metric], before, after, counts, samples: both.length };
}

function sideRows(pair, sides, axis) {
  const [baseline, candidate] = pair.map((model) => data.models[model]);
  const words = ` against ${baseline.key}, ${counted(sides[0].samples, "sample")}`;
  const name = candidate.key + (candidate.kind === "finetuned" ? " (tuned)" : "");
  const title = h(
    "tr",
    { class: "group" },
    h("th", { colspan: 6, scope: "rowgroup" }, name, h("span", { class: "quiet" }, words)),
  );
  return h(
    "tbody",
    {},
    title,
    sides.map((side) => sideRow(side, axis)),
  );
}

function sideRow(side, axis) {
  const known = side.samples > 0;
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, side.metric),
    h(
      "td",
      { class: "chart" },
      s(
        "svg",
        { class: "plot", height: 30, "aria-hidden": "true" },
        gridLines(axis),
        known ? dumbbell(side, axis) : [],
      ),
    ),
    h("td", { class: "number" }, known ? shown.score(side.before) : "\u2013"),
    h("td", { class: "number" }, known ? shown.score(side.after) : "\u2013"),
    h(
      "td",
      { class: `number ${known ? directionOf(side.after - side.before) : ""}` },
      known ? shown.change(side.after - side.before) : "\u2013",
    ),
    h("td", { class: "split" }, known ? splitBar(side) : h("span", { class: "quiet" }, "no sample answered by both")),
  );
}

function dumbbell(side, axis) {
  const [from, to] = [axis.at(side.before), axis.at(side.after)];
  const rod = s("line", { class: `rod ${directionOf(side.after - side.before)}`, x1: from, x2: to, y1: 15, y2: 15 });
  return [
    rod,
    s("circle", { class: "dot before", cx: from, cy: 15, r: 4.5 }),
    s("circle", { class: "dot after", cx: to, cy: 15, r: 4.5 }),
  ];
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
