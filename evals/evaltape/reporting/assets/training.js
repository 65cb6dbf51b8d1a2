/* Fine-tuning jobs, and what everything cost. */

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
  const plot = s(
    "svg",
    { class: "plot loss", role: "img", "aria-label": words },
    up.ticks.map((tick) =>
      s("line", { class: "grid", x1: 0, x2: "100%", y1: fromTop(up, tick), y2: fromTop(up, tick) }),
    ),
    lines.map((line, i) => lossLine(line, i, across, up)),
  );
  const side = s(
    "svg",
    { class: "axis side", width: 36, "aria-hidden": "true" },
    up.ticks.map((tick) => s("text", { x: 30, y: fromTop(up, tick), dy: 4, "text-anchor": "end" }, String(tick))),
  );
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
      side,
      plot,
      axisNumbers(across, shown.count),
      h("p", { class: "axis-title right" }, "step \u2192"),
    ),
    numbers("The losses in numbers", () => lossTable(it.metrics)),
  ];
}

function fromTop(axis, value) {
  return percent(1 - (value - axis.low) / (axis.high - axis.low || 1));
}

function lossWords(line) {
  const [[from, first], [to, last]] = [line.points[0], line.points[line.points.length - 1]];
  return from === to
    ? `${line.name} ${shown.score(first)} at step ${from}`
    : `${line.name} ${shown.score(first)} at step ${from} to ${shown.score(last)} at step ${to}`;
}

/** The line stretches with the page: a unit square without aspect ratio, its stroke kept. */
function lossLine(line, i, across, up) {
  const at = line.points.map(([step, loss]) => `${parseFloat(across.at(step))},${parseFloat(fromTop(up, loss))}`);
  const path = s("path", { class: `curve c${i}`, d: "M" + at.join("L"), "vector-effect": "non-scaling-stroke" });
  const few = line.points.length <= 12 ? line.points : [];
  const dots = few.map(([step, loss]) =>
    s("circle", { class: `curve-dot c${i}`, cx: across.at(step), cy: fromTop(up, loss), r: 3 }),
  );
  return [
    s(
      "svg",
      { width: "100%", height: "100%", viewBox: "0 0 100 100", preserveAspectRatio: "none", overflow: "visible" },
      path,
    ),
    dots,
  ];
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

/* ---------------------------------------------------------------- cost and tokens */

/** Calls, tokens and cost per model and job. */
function costSection() {
  const note =
    (data.mode === "replay"
      ? "What the recorded calls took when they were made; this run called nothing. "
      : "What the recorded calls took. ") + "Cost is tokens times the suite's prices.";
  const head = [
    ["Model", ""],
    ["Served as", "served"],
    ["Samples", "number"],
    ["Failed", "number"],
    ["Cut short", "number"],
    ["Prompt tokens", "number"],
    ["Completion tokens", "number"],
    ["Cost", "number"],
    ["Per 1,000 samples", "number"],
  ];
  return section(
    "cost",
    "Cost and tokens",
    note,
    null,
    scrolled(
      "Tokens and cost",
      table("plain", "Tokens and cost per model", head, [...data.models.map(costRow), ...totalRow()]),
    ),
    trainingCosts(),
  );
}

function costRow(model) {
  const priced = typeof model.cost_usd === "number";
  return [
    model.key,
    model.served || "\u2013",
    ...[model.samples, model.failed, model.truncated, model.usage.prompt_tokens, model.usage.completion_tokens].map(
      shown.count,
    ),
    priced ? shown.usd(model.cost_usd) : h("span", { class: "quiet" }, "no price"),
    priced && model.samples ? shown.usd((1000 * model.cost_usd) / model.samples) : "",
  ];
}

function totalRow() {
  if (data.models.length < 2) return [];
  const total = (value) => data.models.reduce((sum, model) => sum + value(model), 0);
  const unpriced = data.models.filter((model) => typeof model.cost_usd !== "number").length;
  const cost =
    unpriced === data.models.length
      ? ""
      : (unpriced ? "at least " : "") + shown.usd(total((model) => model.cost_usd || 0));
  return [
    [
      "All",
      "",
      shown.count(total((model) => model.samples)),
      shown.count(total((model) => model.failed)),
      shown.count(total((model) => model.truncated)),
      shown.count(total((model) => model.usage.prompt_tokens)),
      shown.count(total((model) => model.usage.completion_tokens)),
      cost,
      "",
    ],
  ];
}

function trainingCosts() {
  const lines = data.jobs
    .filter((it) => typeof it.trained_tokens === "number")
    .map((it) => {
      const cost = typeof it.cost_usd === "number" ? `, ${shown.usd(it.cost_usd)}` : "";
      return h("li", {}, `Training ${it.key}: ${shown.count(it.trained_tokens)} tokens${cost}`);
    });
  return lines.length ? h("ul", { class: "plain-list" }, lines) : null;
}
