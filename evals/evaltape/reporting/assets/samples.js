/* The table of all samples: searched, filtered, sorted, and opened one by one. */

const MORE_ROWS = 200;
let parts = {};

/** The table with its controls. */
function samplesSection() {
  parts.body = h("tbody", {});
  parts.head = h("thead", {});
  parts.count = h("p", { class: "count", role: "status" });
  parts.more = h("p", { class: "more" });
  const listing = h(
    "table",
    { class: "samples" },
    h("caption", { class: "unseen" }, "Samples"),
    parts.head,
    parts.body,
  );
  whenChosen(drawSamples);
  const note =
    "Scores per sample. In an opened one, a marked word of a prediction has no counterpart in the reference, in order.";
  const how = "Open a sample to read its input, its reference and every prediction.";
  return section(
    "samples",
    "Samples",
    note,
    how,
    controls(),
    parts.count,
    h("div", { class: "scroll" }, listing),
    parts.more,
  );
}

function controls() {
  parts.search = h("input", {
    type: "search",
    id: "search",
    placeholder: "id, input, reference or prediction",
    input: () => look({ search: parts.search.value }),
  });
  parts.show = h(
    "select",
    { id: "show", change: () => look({ show: parts.show.value }) },
    filters().map(([value, words]) => h("option", { value }, words)),
  );
  parts.model = h(
    "select",
    { id: "model", change: () => look({ model: parts.model.value === "" ? null : Number(parts.model.value) }) },
    h("option", { value: "" }, "all models"),
    data.models.map((model, i) => h("option", { value: i }, model.key)),
  );
  return h(
    "form",
    { class: "controls", role: "search", submit: (event) => event.preventDefault() },
    h("label", { class: "grow" }, "Search", parts.search),
    h("label", {}, "Show", parts.show),
    data.models.length > 1 ? h("label", {}, "Model", parts.model) : null,
    h("div", {}, metricChooser("metric-samples"), pairChooser()),
  );
}

function filters() {
  const directions = [
    ["better", "better than the baseline"],
    ["worse", "worse than the baseline"],
    ["same", "same as the baseline"],
  ];
  return [
    ["all", "all samples"],
    ...(choice.baseline === null ? [] : directions),
    ["failed", "failed"],
    ["truncated", "cut short"],
    ...(data.samples.some((sample) => sample.predictions.some((it) => it && it.unscored)) ? [["unscored", "not scored"]] : []),
  ];
}

/** Change what is looked at, from the top. */
function look(changes) {
  Object.assign(view, changes, { limit: FIRST_ROWS });
  drawSamples();
}

/* ---------------------------------------------------------------- drawing */

function drawSamples() {
  if (view.model !== null && view.sort !== view.model && typeof view.sort === "number") view.sort = "order";
  drawHead();
  const found = wantedSamples();
  const rows = found.slice(0, view.limit);
  parts.body.replaceChildren(...rows.flatMap(sampleRows));
  const all = found.length === data.samples.length ? "" : ` of ${shown.count(data.samples.length)}`;
  parts.count.replaceChildren(
    `${shown.count(found.length)}${all} ${data.samples.length === 1 ? "sample" : "samples"}${changeWords()}`,
    ...resetButton(),
  );
  drawMore(found.length);
}

function changeWords() {
  const left = data.texts_of === null ? "" : `. Texts are held, and searched, of the worst ${shown.count(data.texts_of)}; --results has all`;
  if (choice.baseline === null) return left;
  const [before, after] = [choice.baseline, choice.candidate].map((model) => data.models[model].key);
  return `${left}. Change is ${after} less ${before}, ${chosenMetric().name}.`;
}

function resetButton() {
  if (!view.search && view.show === "all" && view.model === null) return [];
  return [
    " ",
    h(
      "button",
      {
        class: "link",
        click: () => {
          resetView();
          parts.search.focus();
        },
      },
      "Show all",
    ),
  ];
}

function resetView() {
  parts.search.value = "";
  parts.show.value = "all";
  parts.model.value = "";
  look({ search: "", show: "all", model: null });
}

/** The headings stay the same elements while columns stay, so that the focus stays on a pressed one. */
function drawHead() {
  const columns = [
    ["order", "Sample", "text"],
    ...shownModels().map((model) => [model, data.models[model].key, "number"]),
  ];
  if (choice.baseline !== null) columns.push(["gain", "Change", "number"]);
  const key = columns.map(([sort]) => sort).join();
  if (parts.columns !== key) {
    parts.headings = columns.map(([sort, title, kind]) => heading(sort, title, kind));
    parts.head.replaceChildren(h("tr", {}, parts.headings));
    parts.columns = key;
  }
  columns.forEach(([sort], i) =>
    parts.headings[i].setAttribute(
      "aria-sort",
      sort !== view.sort ? "none" : view.descending ? "descending" : "ascending",
    ),
  );
}

function heading(sort, title, kind) {
  const press = () => look({ sort, descending: view.sort === sort && !view.descending, failedFirst: false });
  return h(
    "th",
    { scope: "col", class: kind },
    h("button", { class: "sort", click: press }, title, h("span", { class: "arrow", "aria-hidden": "true" })),
  );
}

function sampleRows(at) {
  const sample = data.samples[at];
  const open = view.open.has(at);
  const button = h(
    "button",
    {
      class: "opener",
      id: `open-${at}`,
      "aria-expanded": String(open),
      "aria-controls": open ? `detail-${at}` : null,
      click: () => toggle(at),
    },
    sample.id,
  );
  const cells = shownModels().map((model) =>
    h("td", { class: "number", "data-column": data.models[model].key }, scoreCell(sample, model)),
  );
  if (choice.baseline !== null) cells.push(gainCell(gainOf(sample)));
  const row = h(
    "tr",
    { class: open ? "opened" : null },
    h(
      "th",
      { scope: "row" },
      h("div", { class: "sample" }, button, h("span", { class: "excerpt", dir: "auto" }, excerpt(sample.references[0] || sample.input))),
    ),
    cells,
  );
  return open ? [row, detailRow(sample, at, cells.length + 1)] : [row];
}

function scoreCell(sample, model) {
  const prediction = sample.predictions[model];
  if (!prediction) return h("span", { class: "quiet", title: "not looked at in this run" }, NONE);
  if (!prediction.scores) return h("span", { class: "failed" }, "failed");
  const score = prediction.scores[choice.metric];
  return isNumber(score) ? shown.score(score, chosenMetric()) : h("span", { class: "quiet" }, "not scored");
}

function gainCell(gain) {
  const kind = gain === undefined ? "quiet" : directionOf(gain);
  return h(
    "td",
    { class: `number ${kind}`, "data-column": "change" },
    shown.change(gain, chosenMetric()),
  );
}

function drawMore(found) {
  const left = found - view.limit;
  const grow = (limit) => {
    view.limit = limit;
    drawSamples();
  };
  if (!found) parts.more.replaceChildren(h("span", { class: "quiet" }, "No sample matches."));
  else if (left <= 0) parts.more.replaceChildren();
  else
    parts.more.replaceChildren(
      h("span", { class: "quiet" }, `The first ${shown.count(view.limit)} are shown. `),
      left > MORE_ROWS ? h("button", { click: () => grow(view.limit + MORE_ROWS) }, `Show ${MORE_ROWS} more`) : "",
      h("button", { click: () => grow(found) }, `Show all ${shown.count(found)}`),
    );
}

/* ---------------------------------------------------------------- one sample */

function toggle(at) {
  const button = document.getElementById(`open-${at}`);
  const row = button.closest("tr");
  if (view.open.delete(at)) row.nextElementSibling.remove();
  else {
    view.open.add(at);
    row.after(detailRow(data.samples[at], at, row.children.length));
  }
  const open = view.open.has(at);
  row.classList.toggle("opened", open);
  button.setAttribute("aria-expanded", String(open));
  if (open) button.setAttribute("aria-controls", `detail-${at}`);
  else button.removeAttribute("aria-controls");
}

/** The id of a sample, which opens it. */
function sampleLink(id) {
  return h("button", { class: "link", click: () => openSample(data.samples.findIndex((sample) => sample.id === id)) }, id);
}

/** Show a sample opened, from anywhere on the page; filters that hide it are lifted. */
function openSample(at) {
  if (!wantedSamples().includes(at)) resetView();
  view.open.add(at);
  view.limit = Math.max(view.limit, wantedSamples().indexOf(at) + 1);
  drawSamples();
  const button = document.getElementById(`open-${at}`);
  button.focus({ preventScroll: true });
  button.closest("tr").scrollIntoView({ block: "start" });
}
