/* One opened sample: its input, its reference and every prediction. */

function detailRow(sample, at, columns) {
  const input = h(
    "div",
    { class: "input" },
    h("h3", {}, "Input"),
    h("p", { class: "text", dir: "auto" }, sample.input),
  );
  const reference = h(
    "div",
    { class: "answer" },
    h("h3", {}, "Reference"),
    h("p", { class: "text", dir: "auto" }, sample.reference),
  );
  const answers = data.models.map((model, i) => answer(model, sample.predictions[i], sample.reference)).filter(Boolean);
  return h(
    "tr",
    { class: "detail", id: `detail-${at}` },
    h(
      "td",
      { colspan: columns },
      h("div", { class: "detail-parts" }, input, h("div", { class: "answers" }, reference, answers)),
    ),
  );
}

function answer(model, prediction, reference) {
  if (!prediction) return null;
  const scores = (prediction.scores || []).map((score, i) =>
    h("span", { class: "chip" }, `${data.metrics[i]} ${shown.score(score)}`),
  );
  const title = h("h3", {}, model.key, model.kind === "finetuned" ? h("span", { class: "quiet" }, " tuned") : null);
  const cut = prediction.truncated ? h("p", { class: "quiet" }, "Cut short at the length limit.") : null;
  const failure = prediction.failure ? h("p", { class: "failed" }, `Failed: ${prediction.failure}`) : null;
  return h(
    "div",
    { class: "answer" },
    title,
    h("p", { class: "chips" }, scores),
    failure,
    prediction.failure && !prediction.text ? null : predictionText(prediction, reference),
    cut,
  );
}

function predictionText(prediction, reference) {
  if (!prediction.text.trim()) return [h("p", { class: "quiet" }, "The prediction is empty.")];
  const { marked, missed } = compared(reference, prediction.text);
  const text = h("p", { class: "text", dir: "auto" }, marked);
  return missed.length
    ? [text, h("p", { class: "quiet missed" }, "Not in it: ", h("span", { dir: "auto" }, missed.join(" ")))]
    : [text];
}
