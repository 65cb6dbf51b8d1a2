/* Which samples the table shows, in which order: search, filters and sorting. */

const FIRST_ROWS = 50;
let view = {};
let haystacks = null;

/** Look at a suite's samples from the start: where something failed at the worst of a model, else in their order. */
function startSamples(failed) {
  view = { search: "", show: "all", model: null, sort: "order", descending: false, limit: FIRST_ROWS, open: new Set() };
  if (failed !== undefined) startSort(failed, choice.metric);
  haystacks = null;
  parts = {};
}

/** The worst of a model first: answers that failed, then those that score worst. */
function startSort(model, metric) {
  const worst = { sort: model, descending: !data.metrics[metric].higher, failedFirst: true };
  Object.assign(view, { model: null }, model === undefined ? {} : worst);
}

function shownModels() {
  return view.model === null ? data.models.map((_, i) => i) : [view.model];
}

/** Positions of the samples that are looked for, in order. */
function wantedSamples() {
  const words = folded(view.search).split(/\s+/).filter(Boolean);
  const found = data.samples
    .map((_, at) => at)
    .filter((at) => passesFilter(data.samples[at]) && words.every((word) => haystack(at).includes(word)));
  return sorted(found);
}

function passesFilter(sample) {
  const shownHere = shownModels()
    .map((model) => sample.predictions[model])
    .filter(Boolean);
  if (!shownHere.length) return false;
  if (view.show === "all") return true;
  if (view.show === "failed") return shownHere.some((prediction) => prediction.failure);
  if (view.show === "truncated") return shownHere.some((prediction) => prediction.truncated);
  if (view.show === "unscored") return shownHere.some((prediction) => prediction.unscored);
  const gain = gainOf(sample);
  return gain !== undefined && directionOf(gain) === view.show;
}

/** A sample's texts as they are searched: without case and accents; made when first searched. */
function haystack(at) {
  if (haystacks === null || haystacks.model !== view.model)
    haystacks = { model: view.model, texts: data.samples.map(searchable) };
  return haystacks.texts[at];
}

function searchable(sample) {
  const predictions = shownModels()
    .map((model) => sample.predictions[model])
    .filter(Boolean);
  return folded(
    [sample.id, sample.input, ...sample.references, ...predictions.flatMap((it) => [it.text, it.failure || ""])].join("\n"),
  );
}

function folded(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

/** Samples without a value stay behind, whatever the direction; where the worst are wanted, failed ones lead. */
function sorted(found) {
  if (view.sort === "order") return view.descending ? found.reverse() : found;
  const sign = view.descending ? -1 : 1;
  const value = view.sort === "gain" ? (at) => gainOf(data.samples[at]) : (at) => scoreOf(data.samples[at], view.sort);
  const valued = found.map((at) => [at, value(at)]);
  const known = valued.filter(([, one]) => one !== undefined).sort((a, b) => sign * (a[1] - b[1]) || a[0] - b[0]);
  const unknown = valued.filter(([, one]) => one === undefined);
  const failed = (at) => view.failedFirst && (data.samples[at].predictions[view.sort] || {}).failure !== undefined;
  return [...unknown.filter(([at]) => failed(at)), ...known, ...unknown.filter(([at]) => !failed(at))].map(([at]) => at);
}
