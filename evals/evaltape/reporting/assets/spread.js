/* Single samples' scores: their distribution per model, and baseline against candidate sample by sample. */

const BINS = 25;

/** Histograms of each model's scores in the chosen metric, over one axis. */
function distributionSection() {
  const body = h("div", {});
  whenChosen(() => body.replaceChildren(...distribution()));
  const note = "How many samples scored how much, in steps of 0.04. The line is the median, the band the middle half.";
  return section("distribution", "Distribution of scores", note, null, metricChooser("metric-distribution"), body);
}

function distribution() {
  const columns = data.models.map((_, model) =>
    data.samples.map((sample) => scoreOf(sample, model)).filter((value) => value !== undefined),
  );
  const counts = columns.map(histogram);
  const tallest = Math.max(1, ...counts.flat());
  const axis = axisOver([0, 1], 10);
  const rows = data.models.map((model, i) =>
    histogramRow(
      model.key,
      columns[i].sort((a, b) => a - b),
      counts[i],
      tallest,
      axis,
    ),
  );
  const under = h("div", { class: "strip" }, h("span", {}), axisNumbers(axis));
  return [...rows, under, numbers("The distribution in numbers", () => distributionTable(columns))];
}

/** How many values fall into each of BINS equal parts of 0..1; the last holds 1, too. */
function histogram(values) {
  const counts = new Array(BINS).fill(0);
  for (const value of values) counts[Math.min(BINS - 1, Math.floor(value * BINS + 1e-9))] += 1;
  return counts;
}

function histogramRow(name, sorted, counts, tallest, axis) {
  if (!sorted.length)
    return h(
      "div",
      { class: "strip" },
      h("span", { class: "name" }, name),
      h("span", { class: "quiet" }, "no sample was answered"),
    );
  const [low, middle, high] = [0.25, 0.5, 0.75].map((share) => quantile(sorted, share));
  const half = `middle half ${shown.score(low)} to ${shown.score(high)}`;
  const words = `${name}: ${counted(sorted.length, "score")}, median ${shown.score(middle)}, ${half}`;
  const bars = counts.map((count, i) => histogramBar(count, i, tallest));
  const band = s("rect", { class: "band", x: axis.at(low), width: percent(high - low), y: 0, height: "100%" });
  const line = s("line", { class: "median", x1: axis.at(middle), x2: axis.at(middle), y1: 0, y2: "100%" });
  return h(
    "div",
    { class: "strip" },
    h("span", { class: "name" }, name, h("span", { class: "quiet" }, `median ${shown.score(middle)}`)),
    s("svg", { class: "plot histogram", role: "img", "aria-label": words }, band, gridLines(axis), bars, line),
  );
}

function histogramBar(count, i, tallest) {
  const words = `${(i / BINS).toFixed(2)} to ${((i + 1) / BINS).toFixed(2)}: ${counted(count, "sample")}`;
  const height = count / tallest;
  const place = {
    x: percent((i + 0.06) / BINS),
    width: percent(0.88 / BINS),
    y: percent(1 - height),
    height: percent(height),
  };
  return s("rect", { class: "bar", ...place }, s("title", {}, words));
}

function distributionTable(columns) {
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
    ...shares.map(([, share]) => (columns[i].length ? shown.score(quantile(columns[i], share)) : "\u2013")),
  ]);
  return scrolled("Quantiles", table("plain", `Quantiles of ${data.metrics[choice.metric]}`, head, rows));
}

/* ---------------------------------------------------------------- baseline against candidate */

/** Each sample as a point, its baseline score against its candidate score, and the samples that changed most. */
function pairsSection(openSample) {
  if (choice.baseline === null) return null;
  const body = h("div", { class: "scatter-and-lists" });
  whenChosen(() => body.replaceChildren(...pairedViews(openSample)));
  const note = "A point is a sample. Over the line the candidate scored higher, under it lower.";
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
    .sort((a, b) => a.gain - b.gain || a.at - b.at);
  if (!points.length) return [h("p", { class: "quiet" }, "No sample was answered by both models.")];
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
      h("span", { class: `change ${directionOf(point.gain)}` }, shown.change(point.gain)),
      h("span", { class: "quiet", dir: "auto" }, excerpt(point.sample.reference)),
    ),
  );
  return h("div", {}, h("h3", {}, title), rows.length ? h("ol", {}, rows) : h("p", { class: "quiet" }, "None."));
}

function scatter(points, openSample) {
  const axis = axisOver([0, 1]);
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
    axis.ticks.map((tick) => s("line", { class: "grid", y1: axis.at(tick), y2: axis.at(tick), x1: 0, x2: "100%" })),
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
    axis.ticks.map((tick) => s("text", { x: 22, y: percent(1 - tick), dy: 4, "text-anchor": "end" }, String(tick))),
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
  const numbers = [shown.score(point.x), shown.score(point.y), shown.change(point.gain)];
  const words = `${point.sample.id}: ${numbers.join(", ")}`;
  const place = { cx: axis.at(point.x), cy: percent(1 - point.y), r: 4 };
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
  const scores = `${before} ${shown.score(point.x)}, ${after} ${shown.score(point.y)} (${shown.change(point.gain)})`;
  return `${point.sample.id}: ${scores}. ${excerpt(point.sample.reference, 90)}`;
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
