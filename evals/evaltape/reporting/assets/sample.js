/* One opened sample: its input, its references and every prediction. */

const LEFT_OUT = "This report of many samples holds the texts of the worst. --results writes those of all.";

function detailRow(sample, at, columns) {
  if (sample.left_out)
    return h("tr", { class: "detail", id: `detail-${at}` }, h("td", { colspan: columns }, h("p", { class: "quiet" }, LEFT_OUT)));
  const input = h(
    "div",
    { class: "input" },
    h("h3", {}, "Input"),
    h("p", { class: "text", dir: "auto" }, sample.input),
    sliceWords(sample),
  );
  const answers = data.models.map((model, i) => answer(model, sample.predictions[i], sample.references)).filter(Boolean);
  return h(
    "tr",
    { class: "detail", id: `detail-${at}` },
    h(
      "td",
      { colspan: columns },
      h("div", { class: "detail-parts" }, input, h("div", { class: "answers" }, references(sample), answers)),
    ),
  );
}

function sliceWords(sample) {
  const words = Object.entries(sample.slices).map(([column, value]) => `${column}: ${value}`);
  return words.length ? h("p", { class: "quiet" }, words.join(", ")) : null;
}

/** Every reference of a sample. */
function references(sample) {
  const title = (i) => (sample.references.length === 1 ? "Reference" : `Reference ${i + 1}`);
  return sample.references.map((text, i) =>
    h("div", { class: "answer reference" }, h("h3", {}, title(i)), h("p", { class: "text", dir: "auto" }, text)),
  );
}

function answer(model, prediction, wanted) {
  if (!prediction) return null;
  const scores = (prediction.scores || [])
    .map((score, i) => [data.metrics[i], score])
    .filter(([, score]) => isNumber(score))
    .map(([metric, score]) => h("span", { class: "chip" }, `${metric.name} ${shown.score(score, metric)}`));
  const unscored = Object.entries(prediction.unscored || {}).map(([name, reason]) =>
    h("p", { class: "failed" }, `Not scored by ${name}: ${reason}`),
  );
  const title = h("h3", {}, model.key, model.kind === "finetuned" ? h("span", { class: "quiet" }, " tuned") : null);
  const came = { batch: "Through the Batch API.", "answers-from": "From the output of another engine." }[prediction.came];
  const cut = prediction.truncated ? h("p", { class: "quiet" }, "Cut short at the length limit.") : null;
  const failure = prediction.failure ? h("p", { class: "failed" }, `Failed: ${prediction.failure}`) : null;
  return h(
    "div",
    { class: "answer" },
    title,
    h("p", { class: "chips" }, scores),
    failure,
    unscored,
    prediction.failure && !prediction.text ? null : predictionText(prediction, wanted),
    prediction.raw ? rawText(prediction.raw) : null,
    cut,
    came ? h("p", { class: "quiet" }, came) : null,
  );
}

/** All that the model said, of which the suite scores a part. */
function rawText(raw) {
  return h("details", { class: "raw" }, h("summary", {}, "All that it said"), h("p", { class: "text", dir: "auto" }, raw));
}

/** A prediction beside the reference that shares most words with it. */
function predictionText(prediction, wanted) {
  if (!prediction.text.trim()) return [h("p", { class: "quiet" }, "The prediction is empty.")];
  if (!wanted.length) return [h("p", { class: "text", dir: "auto" }, prediction.text)];
  const sides = wanted.map((reference) => compared(reference, prediction.text));
  const best = sides.reduce((one, other) => (other.common > one.common ? other : one));
  const text = h("p", { class: "text", dir: "auto" }, best.marked);
  const among = wanted.length > 1 ? ` (beside reference ${sides.indexOf(best) + 1})` : "";
  return best.missed.length
    ? [text, h("p", { class: "quiet missed" }, `Not in it${among}: `, h("span", { dir: "auto" }, best.missed.join(" ")))]
    : [text];
}
