/* The suite's comparisons: paired differences with the intervals that their verdicts rest on. */

const PAIR_COLUMNS = 6;
const PAIR_HEAD = [
  ["Metric"],
  ["", "chart"],
  ["Difference", "number"],
  ["Interval", "number wide"],
  ["Bound", "number"],
  ["", "verdict"],
];

/** Each comparison with what it bounds, and the suite's other metrics beside it. */
function comparisonsSection() {
  if (!data.comparisons.length) return null;
  const axes = differenceAxes(data.comparisons.flatMap((it) => [...it.metrics, ...it.beside]));
  const note =
    "Candidate less baseline, paired over the samples both answered. A comparison passes where the whole interval reaches " +
    "the bound, fails where none of it does, and is inconclusive between. Each end of an interval is a one-sided bound " +
    "at the comparison's confidence.";
  const bodies = data.comparisons.flatMap((it) =>
    differenceBodies(it.name, comparisonWords(it), [...it.metrics, ...it.beside], axes),
  );
  return section(
    "comparisons",
    "Comparisons",
    note,
    null,
    figures("Comparisons with intervals and verdicts", PAIR_HEAD, bodies),
    data.comparisons.filter((it) => it.slices.length).map(comparisonSlices),
  );
}

function comparisonWords(it) {
  const samples = Math.max(0, ...it.metrics.map((row) => row.samples || 0));
  return [`${it.candidate} less ${it.baseline}`, counted(samples, "sample"), `${it.label} interval`].join(", ");
}

/** An axis for each scale of the rows' metrics. */
function differenceAxes(rows) {
  const axes = new Map();
  for (const scale of new Set(rows.map((row) => scaleOf(metricNamed(row.metric))))) {
    const these = rows.filter((row) => scaleOf(metricNamed(row.metric)) === scale);
    const values = these.flatMap((row) => [row.required, row.difference, row.low, row.high]).filter(isNumber);
    axes.set(scale, axisOver([0, ...values]));
  }
  return axes;
}

/** Rows of differences as parts of a table, one for each scale, each with its axis. */
function differenceBodies(title, words, rows, axes) {
  const scales = [...new Set(rows.map((row) => scaleOf(metricNamed(row.metric))))];
  return scales.map((scale, i) => {
    const these = rows.filter((row) => scaleOf(metricNamed(row.metric)) === scale);
    const heading = i ? [] : [groupRow(title, words, PAIR_COLUMNS)];
    return [h("tbody", {}, heading, these.flatMap((row) => differenceRows(row, axes.get(scale)))), axes.get(scale)];
  });
}

/** A row, and beneath it what a reader should know of it. */
function differenceRows(row, axis) {
  const remark = row.remark ? `${row.metric}: ${row.remark}` : null;
  return [differenceRow(row, axis), remarkRow(PAIR_COLUMNS, remark, fragilityWords(row.metric, row.fragility))];
}

function differenceRow(row, axis) {
  const metric = metricNamed(row.metric);
  const bound = isNumber(row.required) ? `${metric.higher ? "\u2265" : "\u2264"} ${shown.change(row.required, metric)}` : "";
  return h(
    "tr",
    { class: isNumber(row.required) ? null : "beside" },
    h("th", { scope: "row" }, row.metric),
    h("td", { class: "chart" }, differenceChart(row, axis)),
    h("td", { class: "number" }, shown.change(row.difference, metric)),
    h("td", { class: "number wide" }, shown.ends(row, metric, shown.change)),
    h("td", { class: "number" }, bound),
    h("td", { class: "verdict" }, isNumber(row.required) ? differenceVerdict(row) : ""),
  );
}

function differenceVerdict(row) {
  if (row.verdict === "not checked") return verdictMark("open", "not checked");
  if (!isNumber(row.difference)) return verdictMark("failed", "no pair scored");
  return verdictMark(row.verdict, row.verdict);
}

function differenceChart(row, axis) {
  const zero = s("line", { class: "zero", x1: axis.at(0), x2: axis.at(0), y1: 0, y2: "100%" });
  const gate = isNumber(row.required) ? gateMark(axis.at(row.required), 30) : [];
  const dot = isNumber(row.difference)
    ? [...intervalMark(row, axis), s("circle", { class: "dot after", cx: axis.at(row.difference), cy: 15, r: 4.5 })]
    : [];
  return s("svg", { class: "plot", height: 30, "aria-hidden": "true" }, gridLines(axis), zero, gate, dot);
}

/** The same comparison on single slices: shown, not asserted. */
function comparisonSlices(it) {
  const names = it.metrics.map((row) => row.metric);
  const head = [["Slice", ""], ["Samples", "number"], ...names.map((name) => [name, "number"])];
  const rows = it.slices.map((slice) => [
    `${slice.column}: ${slice.value}`,
    shown.count(Math.max(0, ...slice.metrics.map((row) => row.samples))),
    ...slice.metrics.map((row) => {
      const metric = metricNamed(row.metric);
      return isNumber(row.difference)
        ? `${shown.change(row.difference, metric)} (${shown.ends(row, metric, shown.change)})`
        : NONE;
    }),
  ]);
  const caption = `Difference with its ${it.label} interval. Of ${counted(rows.length, "slice")} some differ by chance alone.`;
  return numbers(`${it.name} by slice: ${counted(rows.length, "slice")}`, () =>
    scrolled(`${it.name} by slice`, table("plain", caption, head, rows)),
  );
}
