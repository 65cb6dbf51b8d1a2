/* What the recorded calls and jobs took: calls, tokens, days, cost. */

/** Calls, tokens and cost per model and job. */
function costSection() {
  const note =
    (data.mode === "replay"
      ? "What the recorded calls took when they were made; this run called nothing. "
      : "What the recorded calls took. ") + "Cost is tokens times the suite's prices.";
  const head = [
    ["Model", ""],
    ["Served as", "served"],
    ["Recorded", ""],
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
    model.versions.length > 1 ? model.versions.join(", ") : model.served || NONE,
    model.recorded ? [...new Set(model.recorded)].join(" to ") : NONE,
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
