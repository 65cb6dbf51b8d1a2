/* References that models agree against. */

/** Each with the two answers that agree the most beyond it; nothing where there are none. */
function referencesSection() {
  if (!data.references.length) return null;
  const note =
    "Two models of different origin agree with each other, and not with the reference: by a ROUGE-L of at least 0.5, and at " +
    "least twice as far as either does with it. The reference may be wrong, or one of several right answers.";
  const list = h("ol", { class: "lists" }, data.references.map(outvotedReference));
  return section("references", "References worth a look", note, "Open a sample to read all of it.", list);
}

function outvotedReference(it) {
  const sample = data.samples.find((each) => each.id === it.sample);
  const share = (value) => shown.score(value, FLAT);
  const answers = it.models.map((key) => [key, sample.predictions[modelAt.get(key)].text]);
  const texts = [...sample.references.map((text) => ["Reference", text]), ...answers].filter(([, text]) => text);
  return h(
    "li",
    {},
    sampleLink(it.sample),
    h("span", {}, `${share(it.agreement)} with each other, ${share(it.to_reference)} with the reference`),
    texts.map(([name, text]) => h("p", { class: "quiet" }, `${name}: `, h("span", { dir: "auto" }, excerpt(text)))),
  );
}
