/* Which samples the table shows, in which order: search, filters and sorting. */

const FIRST_ROWS = 50;
let view = {};
let haystacks = null;

/** Look at a suite's samples from the start. */
function startSamples() {
  view = { search: "", show: "all", model: null, sort: "order", descending: false, limit: FIRST_ROWS, open: new Set() };
  haystacks = null;
  parts = {};
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

/** Samples without a value stay behind, whatever the direction. */
function sorted(found) {
  if (view.sort === "order") return view.descending ? found.reverse() : found;
  const sign = view.descending ? -1 : 1;
  const value = view.sort === "gain" ? (at) => gainOf(data.samples[at]) : (at) => scoreOf(data.samples[at], view.sort);
  const valued = found.map((at) => [at, value(at)]);
  const known = valued.filter(([, one]) => one !== undefined).sort((a, b) => sign * (a[1] - b[1]) || a[0] - b[0]);
  return [...known, ...valued.filter(([, one]) => one === undefined)].map(([at]) => at);
}
