/* Earlier commits: each model's mean by today's metrics, and where it fell by more than noise. */

const COMMIT = 10;

/** A line of each model's means in the chosen metric; nothing without --history. */
function historySection() {
  const models = Object.entries(data.history);
  if (!models.length) return null;
  const body = h("div", {});
  whenChosen(() => body.replaceChildren(...models.map(([key, moments]) => historyArticle(key, moments, chosenMetric()))));
  const note =
    "The answers of earlier commits that changed recordings, scored by today's metrics on the samples that are as today. " +
    "A ring marks a commit at which the mean fell by more than noise.";
  return section("history", "History", note, null, metricChooser("metric-history"), body);
}

function historyArticle(key, moments, metric) {
  const known = moments.map((it, i) => [i, it.scores[metric.name]]).filter(([, mean]) => isNumber(mean));
  const falls = moments.map((it, i) => [i, (it.falls || {})[metric.name]]).filter(([, fall]) => fall);
  const figure = known.length
    ? historyFigure(key, moments, known, falls, metric)
    : h("p", { class: "quiet" }, `No commit has answers that ${metric.name} scores.`);
  const words = falls.map(([i, fall]) => h("li", { class: "worse" }, fallWords(moments[i], fall, metric)));
  return h(
    "article",
    {},
    h("h3", {}, key),
    figure,
    words.length ? h("ul", { class: "plain-list" }, words) : null,
    numbers(`${key} by commit, in numbers`, () => historyTable(key, moments)),
  );
}

/** The axis also holds today's interval: a drift that is small beside it looks small. */
function historyFigure(key, moments, known, falls, metric) {
  const today = data.models[modelAt.get(key)].scores[metric.name];
  const ends = today ? [today.low, today.high].filter(isNumber) : [];
  const up = axisOver([...known.map(([, mean]) => mean), ...ends], 4);
  const across = { at: (i) => percent(moments.length > 1 ? i / (moments.length - 1) : 0.5) };
  const dots = known.map(([i, mean]) => s("circle", { class: "curve-dot c1", cx: across.at(i), cy: up.up(mean), r: 3 }));
  const rings = falls.map(([i]) =>
    s("circle", { class: "fall", cx: across.at(i), cy: up.up(moments[i].scores[metric.name]), r: 8 }),
  );
  const [[first, from], [last, to]] = [known[0], known[known.length - 1]];
  const at = (i, mean) => `${shown.score(mean, metric)} at ${nameOf(moments[i])}`;
  const way = first === last ? at(first, from) : `${at(first, from)} to ${at(last, to)}`;
  const fell = falls.map(([i]) => `fell at ${nameOf(moments[i])}`);
  const words = [`${metric.name} of ${key} over ${counted(moments.length, "commit")}: ${way}`, ...fell].join("; ");
  const days = [...new Set([moments[0].day, moments[moments.length - 1].day])].map((day) => h("span", {}, day));
  return h(
    "figure",
    { class: "curve" },
    curvePlot(words, up, [curveThrough(known, "c1", across, up), dots, rings]),
    h("p", { class: "axis-title ends" }, days),
  );
}

function nameOf(moment) {
  return `${moment.commit.slice(0, COMMIT)} of ${moment.day}`;
}

function fallWords(moment, fall, metric) {
  const noise = isNumber(fall.smallest_drop)
    ? `by its repeats ${shown.score(fall.smallest_drop, metric)} may be noise`
    : `90% interval ${shown.ends(fall, metric, shown.change)}`;
  return `Fell at ${nameOf(moment)}: ${metric.name} ${shown.change(fall.difference, metric)} (${noise})`;
}

function historyTable(key, moments) {
  const named = data.metrics.filter((metric) => metric.named);
  const head = [["Commit", ""], ["Day", ""], ["Samples", "number"], ...named.map((it) => [it.name, "number"]), ["Note", ""]];
  const rows = moments.map((it) => [
    it.commit.slice(0, COMMIT),
    it.day,
    shown.count(it.samples),
    ...named.map((metric) => shown.score(it.scores[metric.name], metric)),
    it.unread ? `not read: ${it.unread}` : Object.keys(it.falls || {}).map((name) => `${name} fell`).join(", "),
  ]);
  return scrolled(`${key} by commit`, table("plain", `Means of ${key} by commit, oldest first`, head, rows), true);
}
