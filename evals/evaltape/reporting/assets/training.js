/* Fine-tuning jobs. */

/** Each job: what it is, its loss by step, its events. */
function trainingSection() {
  if (!data.jobs.length) return null;
  return section("training", "Training", "Loss by training step, lower is better.", null, data.jobs.map(job));
}

function job(it) {
  const facts = [
    ["Job", it.id],
    ["Status", it.status],
    ["Base", it.base],
    ["Tuned model", it.tuned_model],
    ["Trained tokens", typeof it.trained_tokens === "number" ? shown.count(it.trained_tokens) : null],
  ];
  const known = facts.filter(([, value]) => value !== null && value !== undefined);
  const list = h(
    "dl",
    { class: "facts" },
    known.map(([title, value]) => h("div", {}, h("dt", {}, title), h("dd", {}, String(value)))),
  );
  const curve = it.metrics.length ? lossFigure(it) : [h("p", { class: "quiet" }, "No training metrics were recorded.")];
  return h(
    "article",
    {},
    h("h3", {}, it.key),
    list,
    curve,
    it.events.length ? numbers(counted(it.events.length, "event"), () => eventTable(it.events)) : null,
  );
}

function lossFigure(it) {
  const lines = [
    ["training", "train_loss"],
    ["validation", "valid_loss"],
  ]
    .map(([name, key]) => ({
      name,
      points: it.metrics.filter((row) => typeof row[key] === "number").map((row) => [row.step, row[key]]),
    }))
    .filter((line) => line.points.length);
  if (!lines.length) return [h("p", { class: "quiet" }, "No loss in the training metrics is a number.")];
  const across = axisOver([0, ...it.metrics.map((row) => row.step)]);
  const up = axisOver(
    lines.flatMap((line) => line.points.map(([, loss]) => loss)),
    4,
  );
  const words = lines.map(lossWords).join("; ");
  const shapes = lines.map((line, i) => lossLine(line, i, across, up));
  const legend = h(
    "ul",
    { class: "legend" },
    lines.map((line, i) =>
      h(
        "li",
        {},
        s(
          "svg",
          { width: 26, height: 16, "aria-hidden": "true" },
          s("line", { class: `curve c${i}`, x1: 0, x2: 26, y1: 8, y2: 8 }),
        ),
        lossWords(line),
      ),
    ),
  );
  return [
    legend,
    h(
      "figure",
      { class: "curve" },
      curvePlot(words, up, shapes),
      axisNumbers(across, shown.count),
      h("p", { class: "axis-title right" }, "step \u2192"),
    ),
    numbers("The losses in numbers", () => lossTable(it.metrics)),
  ];
}

function lossWords(line) {
  const [[from, first], [to, last]] = [line.points[0], line.points[line.points.length - 1]];
  return from === to
    ? `${line.name} ${first.toFixed(3)} at step ${from}`
    : `${line.name} ${first.toFixed(3)} at step ${from} to ${last.toFixed(3)} at step ${to}`;
}

function lossLine(line, i, across, up) {
  const few = line.points.length <= 12 ? line.points : [];
  const dots = few.map(([step, loss]) =>
    s("circle", { class: `curve-dot c${i}`, cx: across.at(step), cy: up.up(loss), r: 3 }),
  );
  return [curveThrough(line.points, `c${i}`, across, up), dots];
}

function lossTable(metrics) {
  const loss = (value) => (typeof value === "number" ? value.toFixed(4) : "");
  const rows = metrics.map((row) => [shown.count(row.step), loss(row.train_loss), loss(row.valid_loss)]);
  return scrolled(
    "Losses by step",
    table(
      "plain",
      "Loss by step",
      [
        ["Step", "number"],
        ["Training", "number"],
        ["Validation", "number"],
      ],
      rows,
    ),
    true,
  );
}

/** Times count from the first event: a report doesn't depend on where it is read. */
function eventTable(events) {
  const start = Math.min(...events.map((event) => event.created_at));
  const since = (at) => `${Math.floor((at - start) / 60)} min ${Math.round((at - start) % 60)} s`;
  const rows = events.map((event) => [since(event.created_at), event.level, event.message]);
  return scrolled(
    "Events of the job",
    table(
      "plain",
      "Events, by time since the first",
      [
        ["After", "number"],
        ["Level", ""],
        ["Message", ""],
      ],
      rows,
    ),
    true,
  );
}
