/* The models beside their recordings at another commit: differences, and every sample with both answers. */

const FIRST_PAIRS = 20;

/** Differences per model, and the samples in the chosen metric, most lost first. */
function againstSection(openSample) {
  const against = data.against;
  if (!against) return null;
  const axes = differenceAxes(against.models.flatMap((model) => model.metrics));
  const bodies = against.models.flatMap((model) =>
    differenceBodies(model.key, againstWords(model, against), model.metrics, axes),
  );
  const commit = against.commit ? ` (commit ${against.commit.slice(0, 12)})` : "";
  const note =
    `Now less then, of ${against.ref}${commit}, paired over the samples whose input and references both have, both scored ` +
    "by today's metrics.";
  return section(
    "against",
    `Against ${against.ref}`,
    note,
    "Open a sample to read both answers.",
    against.notes.length ? h("ul", { class: "plain-list" }, against.notes.map((it) => h("li", {}, it))) : null,
    figures("Differences to the earlier recording", PAIR_HEAD, bodies),
    against.pairs.length ? againstSamples(against, openSample) : null,
  );
}

function againstWords(model, against) {
  const samples = Math.max(0, ...model.metrics.map((row) => row.samples || 0));
  const counts = ["added", "dropped", "changed"].filter((name) => model[name]).map((name) => `${shown.count(model[name])} ${name}`);
  return [counted(samples, "sample"), ...counts, `${against.label} interval`].join(", ");
}

function againstSamples(against, openSample) {
  const list = h("ol", { class: "pairs" });
  const more = h("p", { class: "more" });
  const chosen = { model: against.pairs[0].model, limit: FIRST_PAIRS };
  const draw = () => drawPairs(against, chosen, list, more, openSample, draw);
  whenChosen(() => {
    chosen.limit = FIRST_PAIRS;
    draw();
  });
  const models = [...new Set(against.pairs.map((pair) => pair.model))];
  const options = models.map((model) => h("option", { value: model }, data.models[model].key));
  const select = h(
    "select",
    {
      id: "against-model",
      change: () => {
        Object.assign(chosen, { model: Number(select.value), limit: FIRST_PAIRS });
        draw();
      },
    },
    options,
  );
  const chooser = models.length > 1 ? h("label", {}, "Model", select) : null;
  return [h("div", { class: "choosers" }, metricChooser("metric-against"), chooser), list, more];
}

function drawPairs(against, chosen, list, more, openSample, redraw) {
  const metric = chosenMetric();
  const known = against.pairs
    .filter((pair) => pair.model === chosen.model && pair.scores[metric.name])
    .map((pair) => ({ ...pair, change: pair.scores[metric.name][1] - pair.scores[metric.name][0] }))
    .sort((a, b) => goodOf(a.change, metric) - goodOf(b.change, metric) || a.at - b.at);
  list.replaceChildren(...known.slice(0, chosen.limit).map((pair) => pairItem(pair, metric, openSample)));
  const grow = () => {
    chosen.limit = known.length;
    redraw();
  };
  if (!known.length) more.replaceChildren(h("span", { class: "quiet" }, `No answer was scored by ${metric.name} on both sides.`));
  else if (known.length <= chosen.limit) more.replaceChildren();
  else
    more.replaceChildren(
      h("span", { class: "quiet" }, `The ${shown.count(chosen.limit)} that lost most are shown. `),
      h("button", { click: grow }, `Show all ${shown.count(known.length)}`),
    );
}

/** A sample that opens to both answers, each with the words marked that the other doesn't have. */
function pairItem(pair, metric, openSample) {
  const sample = data.samples[pair.at];
  const fold = h(
    "details",
    {
      class: "pair-fold",
      toggle: () => {
        if (fold.open && fold.children.length === 1) fold.append(pairTexts(pair, sample, openSample));
      },
    },
    h(
      "summary",
      {},
      h("span", { class: "pair-id" }, sample.id),
      h("span", { class: `change ${directionOf(pair.change, metric)}` }, shown.change(pair.change, metric)),
      h("span", { class: "excerpt", dir: "auto" }, excerpt(sample.references[0] || sample.input)),
    ),
  );
  return h("li", {}, fold);
}

function pairTexts(pair, sample, openSample) {
  const after = sample.predictions[pair.model].text;
  const scores = (side) =>
    h(
      "p",
      { class: "chips" },
      Object.entries(pair.scores).map(([name, both]) =>
        h("span", { class: "chip" }, `${name} ${shown.score(both[side], metricNamed(name))}`),
      ),
    );
  const answer = (title, side, text, other) =>
    h(
      "div",
      { class: "answer" },
      h("h3", {}, title),
      scores(side),
      h("p", { class: "text", dir: "auto" }, compared(other, text).marked),
    );
  return h(
    "div",
    { class: "pair-texts" },
    answer("Before", 0, pair.before, after),
    answer("After", 1, after, pair.before),
    h("p", {}, h("button", { class: "link", click: () => openSample(pair.at) }, "The whole sample")),
  );
}
