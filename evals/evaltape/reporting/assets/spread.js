/* Single samples' scores: their distribution per model, and baseline against candidate sample by sample. */

const BINS = 25;

/** Histograms of each model's scores in the chosen metric, over one axis. */
function distributionSection() {
  const body = h("div", {});
  whenChosen(() => body.replaceChildren(...distribution()));
  const note = "How many samples scored how much. The line is the median, the band the middle half.";
  return section("distribution", "Distribution of scores", note, null, metricChooser("metric-distribution"), body);
}

function distribution() {
  const metric = chosenMetric();
  const columns = data.models.map((_, model) =>
    data.samples.map((sample) => scoreOf(sample, model)).filter((value) => value !== undefined),
  );
  const axis = scoreAxis(metric, columns.flat(), 10);
  const counts = columns.map((values) => histogram(values, axis));
  const tallest = Math.max(1, ...counts.flat());
  const rows = data.models.map((model, i) =>
    histogramRow(
      model.key,
      columns[i].sort((a, b) => a - b),
      counts[i],
      tallest,
      axis,
      metric,
    ),
  );
  const under = h("div", { class: "strip" }, h("span", {}), axisNumbers(axis));
  return [...rows, under, numbers("The distribution in numbers", () => distributionTable(columns, metric))];
}

/** The axis of single scores: the metric's bounds if it has both, else as far as there are values. */
function scoreAxis(metric, values, wanted) {
  const [low, high] = metric.bounds;
  return isNumber(low) && isNumber(high) ? axisOver([low, high], wanted) : axisOver(values.length ? values : [0, 1], wanted);
}

/** How many values fall into each of BINS equal parts of the axis; the last holds its end, too. */
function histogram(values, axis) {
  const counts = new Array(BINS).fill(0);
  for (const value of values)
    counts[Math.min(BINS - 1, Math.max(0, Math.floor(axis.share(value) * BINS + 1e-9)))] += 1;
  return counts;
}

function histogramRow(name, sorted, counts, tallest, axis, metric) {
  if (!sorted.length)
    return h(
      "div",
      { class: "strip" },
      h("span", { class: "name" }, name),
      h("span", { class: "quiet" }, "no sample was scored"),
    );
  const [low, middle, high] = [0.25, 0.5, 0.75].map((share) => quantile(sorted, share));
  const half = `middle half ${shown.score(low, metric)} to ${shown.score(high, metric)}`;
  const words = `${name}: ${counted(sorted.length, "score")}, median ${shown.score(middle, metric)}, ${half}`;
  const bars = counts.map((count, i) => histogramBar(count, i, tallest, axis));
  const band = s("rect", { class: "band", x: axis.at(low), width: axis.span(low, high), y: 0, height: "100%" });
  const line = s("line", { class: "median", x1: axis.at(middle), x2: axis.at(middle), y1: 0, y2: "100%" });
  return h(
    "div",
    { class: "strip" },
    h("span", { class: "name" }, name, h("span", { class: "quiet" }, `median ${shown.score(middle, metric)}`)),
    s("svg", { class: "plot histogram", role: "img", "aria-label": words }, band, gridLines(axis), bars, line),
  );
}

function histogramBar(count, i, tallest, axis) {
  const edge = (at) => Number((axis.low + (at / BINS) * (axis.high - axis.low)).toPrecision(3));
  const words = `${edge(i)} to ${edge(i + 1)}: ${counted(count, "sample")}`;
  const height = count / tallest;
  const place = {
    x: percent((i + 0.06) / BINS),
    width: percent(0.88 / BINS),
    y: percent(1 - height),
    height: percent(height),
  };
  return s("rect", { class: "bar", ...place }, s("title", {}, words));
}

function distributionTable(columns, metric) {
  const shares = [
    ["lowest", 0],
    ["10%", 0.1],
    ["25%", 0.25],
    ["median", 0.5],
    ["75%", 0.75],
    ["90%", 0.9],
    ["highest", 1],
  ];
  const head = [["Model", ""], ["Scores", "number"], ...shares.map(([title]) => [title, "number"])];
  const rows = data.models.map((model, i) => [
    model.key,
    shown.count(columns[i].length),
    ...shares.map(([, share]) => (columns[i].length ? shown.score(quantile(columns[i], share), metric) : NONE)),
  ]);
  return scrolled("Quantiles", table("plain", `Quantiles of ${metric.name}`, head, rows));
}

/* ---------------------------------------------------------------- baseline against candidate */

/** Each sample as a point, its baseline score against its candidate score, and the samples that changed most. */
function pairsSection(openSample) {
  if (choice.baseline === null) return null;
  const body = h("div", { class: "scatter-and-lists" });
  whenChosen(() => body.replaceChildren(...pairedViews(openSample)));
  const note = "A point is a sample. Over the line the candidate scored higher, under it lower; blue is better, orange worse.";
  const how =
    "Hover or move with the arrow keys, from most lost to most gained, to read a point; click or press Enter to open.";
  return section(
    "pairs",
    "Sample by sample",
    note,
    how,
    h("div", { class: "choosers" }, metricChooser("metric-pairs"), pairChooser()),
    body,
  );
}

function pairedViews(openSample) {
  const points = data.samples
    .map((sample, at) => ({
      sample,
      at,
      x: scoreOf(sample, choice.baseline),
      y: scoreOf(sample, choice.candidate),
      gain: gainOf(sample),
    }))
    .filter((point) => point.gain !== undefined)
    .sort((a, b) => goodOf(a.gain) - goodOf(b.gain) || a.at - b.at);
  if (!points.length) return [h("p", { class: "quiet" }, "No sample was scored for both models.")];
  const lists = [
    changeList("Most lost", points.filter((point) => directionOf(point.gain) === "worse").slice(0, 5), openSample),
  ];
  lists.push(
    changeList(
      "Most gained",
      points
        .filter((point) => directionOf(point.gain) === "better")
        .slice(-5)
        .reverse(),
      openSample,
    ),
  );
  return [scatter(points, openSample), h("div", { class: "lists" }, lists)];
}

function changeList(title, points, openSample) {
  const rows = points.map((point) =>
    h(
      "li",
      {},
      h("button", { class: "link", click: () => openSample(point.at) }, point.sample.id),
      h("span", { class: `change ${directionOf(point.gain)}` }, shown.change(point.gain, chosenMetric())),
      h("span", { class: "quiet", dir: "auto" }, excerpt(point.sample.references[0] || point.sample.input)),
    ),
  );
  return h("div", {}, h("h3", {}, title), rows.length ? h("ol", {}, rows) : h("p", { class: "quiet" }, "None."));
}

function scatter(points, openSample) {
  const axis = scoreAxis(chosenMetric(), points.flatMap((point) => [point.x, point.y]), 5);
  const [before, after] = [choice.baseline, choice.candidate].map((model) => data.models[model].key);
  const readout = h("p", { class: "readout", "aria-hidden": "true" }, `${counted(points.length, "sample")}`);
  const dots = points.map((point, i) => dotOf(point, i, axis));
  const plot = s(
    "svg",
    {
      class: "plot square",
      role: "group",
      "aria-label": `${counted(points.length, "sample")}, ${before} against ${after}`,
    },
    gridLines(axis),
    axis.ticks.map((tick) => s("line", { class: "grid", y1: axis.up(tick), y2: axis.up(tick), x1: 0, x2: "100%" })),
    s("line", { class: "zero", x1: 0, y1: "100%", x2: "100%", y2: 0 }),
    dots,
  );
  operate(
    plot,
    dots,
    (i) => openSample(points[i].at),
    (i) => {
      readout.textContent = visible(pointWords(points[i], before, after));
    },
  );
  const side = s(
    "svg",
    { class: "axis side", width: 28, "aria-hidden": "true" },
    axis.ticks.map((tick) => s("text", { x: 22, y: axis.up(tick), dy: 4, "text-anchor": "end" }, String(tick))),
  );
  return h(
    "figure",
    { class: "scatter" },
    h("p", { class: "axis-title" }, `\u2191 ${after}`),
    side,
    plot,
    axisNumbers(axis),
    h("p", { class: "axis-title right" }, `${before} \u2192`),
    readout,
  );
}

function dotOf(point, i, axis) {
  const metric = chosenMetric();
  const numbers = [shown.score(point.x, metric), shown.score(point.y, metric), shown.change(point.gain, metric)];
  const words = `${point.sample.id}: ${numbers.join(", ")}`;
  const place = { cx: axis.at(point.x), cy: axis.up(point.y), r: 4 };
  return s("circle", {
    class: directionOf(point.gain),
    ...place,
    role: "button",
    tabindex: i ? -1 : 0,
    "data-i": i,
    "aria-label": words,
  });
}

function pointWords(point, before, after) {
  const metric = chosenMetric();
  const scores = [`${before} ${shown.score(point.x, metric)}`, `${after} ${shown.score(point.y, metric)}`].join(", ");
  const text = excerpt(point.sample.references[0] || point.sample.input, 90);
  return `${point.sample.id}: ${scores} (${shown.change(point.gain, metric)}). ${text}`;
}

/** One stop of the Tab key for all points; arrow keys move between them. */
function operate(plot, dots, open, read) {
  const indexOf = (event) =>
    event.target.dataset && event.target.dataset.i !== undefined ? Number(event.target.dataset.i) : null;
  const focus = (from, to) => {
    dots[from].setAttribute("tabindex", -1);
    dots[to].setAttribute("tabindex", 0);
    dots[to].focus();
  };
  const listen = (name, act) =>
    plot.addEventListener(name, (event) => {
      if (indexOf(event) !== null) act(indexOf(event), event);
    });
  listen("pointerover", read);
  listen("focusin", read);
  listen("click", open);
  listen("keydown", (i, event) => {
    const to = { ArrowRight: i + 1, ArrowUp: i + 1, ArrowLeft: i - 1, ArrowDown: i - 1, Home: 0, End: dots.length - 1 }[
      event.key
    ];
    if (event.key === "Enter" || event.key === " ") open(i);
    else if (to === undefined) return;
    else focus(plot.querySelector('[tabindex="0"]').dataset.i, Math.min(dots.length - 1, Math.max(0, to)));
    event.preventDefault();
  });
}
