/* Mutants: how much of each kind of damage each gate would notice. */

/** Per model a table of operators by gates, each with one damaged answer. */
function mutantsSection() {
  const studies = data.mutants;
  if (!studies.length) return null;
  const note =
    "Recorded answers, damaged on purpose. A number is the smallest share of damaged answers, of those that the operator " +
    "applies to, at which the gate fails; a dash is never. Gates should notice what harms, and not what doesn't.";
  return section("mutants", "What would slip through", note, null, studies.map(mutantStudy));
}

function mutantStudy(study) {
  const share = shown.percent(study.noticed_at);
  const score = study.applicable
    ? `${study.noticed} of ${counted(study.applicable, "kind")} of damage noticed at ${share} of the answers`
    : "no harmful operator applies to an answer";
  return h(
    "article",
    {},
    h("h3", {}, study.model),
    h("p", { class: "note" }, `${score}.`),
    scrolled(`Mutants of ${study.model}`, mutantTable(study)),
    study.left_out.length ? h("p", { class: "note" }, `Left out: ${study.left_out.join("; ")}.`) : null,
  );
}

function mutantTable(study) {
  const head = ["Damage", "Answers", ...study.gates].map((title, i) =>
    h("th", { scope: "col", class: i ? "number" : null }, title),
  );
  return h(
    "table",
    { class: "plain mutants" },
    h("caption", {}, "Smallest share of damaged answers that a gate notices"),
    h("thead", {}, h("tr", {}, head)),
    study.operators.map((it) => h("tbody", {}, mutantRow(it, study), mutantExample(it, study))),
  );
}

function mutantRow(it, study) {
  const kind = it.harmful ? null : h("span", { class: "quiet" }, " harmless");
  const missed = it.harmful && it.applies_to && !it.noticed;
  const shares = study.gates.map((_, i) => {
    const share = it.shares.length ? it.shares[i] : undefined;
    const alarming = isNumber(share) && !it.harmful;
    return h("td", { class: `number ${alarming ? "worse" : ""}` }, isNumber(share) ? shown.percent(share) : NONE);
  });
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, it.name, kind, missed ? [" ", verdictMark("failed", "not noticed")] : null),
    h("td", { class: "number" }, `${shown.count(it.applies_to)} of ${shown.count(it.answers)}`),
    shares,
  );
}

/** One damaged answer, with the words marked that the recorded one doesn't have. */
function mutantExample(it, study) {
  if (!it.example) return null;
  const text = h("p", { class: "text", dir: "auto" }, compared(it.example.before, it.example.after).marked);
  const before = h("p", { class: "quiet", dir: "auto" }, it.example.before);
  const cells = h("td", { colspan: study.gates.length + 2 }, h("p", { class: "quiet" }, `${it.example.sample}:`), before, text);
  return h("tr", { class: "example" }, cells);
}
