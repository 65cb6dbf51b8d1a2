/* Judges: how each did in its exam, what it got wrong, and a desk to label answers at. */

function judgesSection() {
  if (!data.judges.length) return null;
  const note =
    "A judge's verdicts are scores. Its exam: references beside damaged copies of them, which it has to tell apart, and " +
    "people's labels of answers. No gate rests on a judge that failed it, unless the suite says so.";
  return section("judges", "Judges", note, null, data.judges.map(judgeArticle));
}

function judgeArticle(judge) {
  const facts = [counted(judge.asked, "verdict")];
  if (judge.unread) facts.push(`${shown.count(judge.unread)} can't be read`);
  if (judge.flips) facts.push(`${shown.percent(Number(judge.flips.share.toFixed(3)))} of repeated verdicts flip`);
  const mark = judge.verdict === "not checked" ? verdictMark("inconclusive", "not examined") : verdictMark(judge.verdict, `${judge.verdict} its exam`);
  const standing = judge.standing ? h("p", { class: "failed" }, `${judge.metrics.join(", ")}: ${judge.standing}.`) : null;
  return h(
    "article",
    { class: "judge" },
    h("h3", {}, judge.key, " ", mark),
    h("p", { class: "note" }, `${facts.join(", ")}. Scores ${judge.metrics.join(", ") || "no metric"}.`),
    standing,
    judge.not_examined ? h("p", { class: "quiet" }, judge.not_examined) : null,
    judge.parts.length ? scrolled(`Exam of ${judge.key}`, examTable(judge)) : null,
    judge.agreement ? agreementOf(judge) : null,
    judge.missed.length ? missedPairs(judge) : null,
    judge.alarming.length ? alarms(judge) : null,
    labelDesk(judge),
  );
}

function examTable(judge) {
  const columns = [
    ["Exam", null],
    ["Share", "number"],
    ["95% interval", "number"],
    ["Bound", "number"],
    ["Verdict", null],
  ];
  const two = (value) => (isNumber(value) ? value.toFixed(2) : "?");
  const rows = judge.parts.map((part) => [
    part.name,
    two(part.value),
    `${two(part.low)} to ${two(part.high)}`,
    `${part.at_least ? "at least" : "at most"} ${part.limit}`,
    verdictMark(part.verdict, part.verdict),
  ]);
  return table("plain", `How ${judge.key} did in its exam`, columns, rows);
}

/** Agreement with people in words, and the table of labels by verdicts. */
function agreementOf(judge) {
  const it = judge.agreement;
  const share = (value) => (value ? value.mean.toFixed(2) : NONE);
  const words = [
    `Agrees with ${shown.percent(Number(it.agreed.toFixed(3)))} of ${counted(it.labels, "label")}`,
    `always the commonest label would with ${shown.percent(Number(it.commonest.toFixed(3)))}`,
    `kappa ${isNumber(it.kappa) ? it.kappa.toFixed(2) : "unknown"}`,
  ];
  if (it.sensitivity || it.specificity)
    words.push(`sensitivity ${share(it.sensitivity)}`, `specificity ${share(it.specificity)}`);
  if (isNumber(it.people)) words.push(`people agree with each other by kappa ${it.people.toFixed(2)}`);
  if (isNumber(it.oneself)) words.push(`and with themselves by ${it.oneself.toFixed(2)}`);
  return [h("p", {}, words.join("; ") + "."), scrolled(`Labels and verdicts of ${judge.key}`, confusion(judge))];
}

function confusion(judge) {
  const cells = judge.confusion;
  const values = (place) => [...new Set(cells.map((cell) => cell[place]))].sort((one, other) => one - other);
  const count = (label, verdict) => (cells.find((cell) => cell[0] === label && cell[1] === verdict) || [0, 0, 0])[2];
  const verdicts = values(1);
  const columns = [["People say", null], ...verdicts.map((verdict) => [`judge: ${spoken(verdict, judge)}`, "number"])];
  const rows = values(0).map((label) => [
    spoken(label, judge),
    ...verdicts.map((verdict) => shown.count(count(label, verdict))),
  ]);
  return table("plain", "Labels by verdicts", columns, rows);
}

/** A score of a judge as it says it: true or false, or the number on its scale. */
function spoken(score, judge) {
  if (!judge.scale) return score === 1 ? "true" : score === 0 ? "false" : score.toFixed(2);
  const [low, high] = judge.scale;
  return String(Number((low + score * (high - low)).toFixed(3)));
}

function missedPairs(judge) {
  const rows = judge.missed.map((it) => [
    it.operator,
    it.sample,
    h("span", { dir: "auto" }, it.before),
    h("span", { dir: "auto" }, compared(it.before, it.after).marked),
  ]);
  const columns = [
    ["Damage", null],
    ["Sample", null],
    ["Reference", null],
    ["Damaged, and not noticed", null],
  ];
  return scrolled(`Damage that ${judge.key} missed`, table("plain", "Damage that it missed", columns, rows));
}

function alarms(judge) {
  const columns = [
    ["Sample", null],
    ["Reference that it finds fault with", null],
  ];
  const rows = judge.alarming.map((it) => [it.sample, h("span", { dir: "auto" }, it.text)]);
  return scrolled(`Alarms of ${judge.key}`, table("plain", "Alarms", columns, rows));
}

/* ---------------------------------------------------------------- labels by hand */

/** A desk that shows answers one by one, blind to the judge, and offers the labels as the file that its exam reads. */
function labelDesk(judge) {
  const metric = data.metrics.findIndex((it) => judge.metrics.includes(it.name));
  const rouge = data.metrics.findIndex((it) => it.name.startsWith("rouge"));
  const turns = labelTurns(metric, rouge);
  if (!turns.length) return null;
  const lines = [];
  const name = h("input", { type: "text", id: `by-${judge.key}`, autocomplete: "name" });
  const stage = h("div", { class: "desk" });
  const fold = h(
    "details",
    { class: "label" },
    h("summary", {}, "Label answers by hand"),
    h("p", { class: "note" }, "What you say is kept on this page alone, until you download it."),
    h("p", {}, h("label", { for: `by-${judge.key}` }, "Your name "), name),
    stage,
  );
  const show = () => {
    const turn = turns[lines.length];
    stage.replaceChildren(...(turn ? deskTurn(judge, turn, lines.length, turns.length, answer) : []), ...download());
  };
  const answer = (label) => {
    const { sample, model, text, use } = turns[lines.length];
    lines.push(label === undefined ? null : { id: sample.id, answer: text, label, model, by: name.value.trim(), use });
    show();
  };
  const download = () => {
    const written = lines.filter(Boolean).map((line) => (line.by ? line : { ...line, by: undefined }));
    if (!written.length) return [];
    const content = written.map((line) => JSON.stringify(line) + "\n").join("");
    const href = "data:application/jsonl;charset=utf-8," + encodeURIComponent(content);
    const words = `Download ${counted(written.length, "label")}`;
    return [h("p", {}, h("a", { class: "download", href, download: judge.labels || `${judge.key}.jsonl` }, words))];
  };
  show();
  return fold;
}

function deskTurn(judge, turn, at, of, answer) {
  const why = turn.use === "disagreement" ? "chosen: judge and ROUGE disagree" : "drawn at random";
  const button = (words, label) => h("button", { type: "button", click: () => answer(label) }, words);
  return [
    h("p", { class: "quiet" }, `${at + 1} of ${of} \u00b7 sample ${turn.sample.id} \u00b7 ${why}`),
    h("p", { class: "text", dir: "auto" }, turn.sample.input),
    h("h4", {}, `${judge.key}?`),
    h("p", { class: "text", dir: "auto" }, turn.text),
    h(
      "p",
      { class: "keys" },
      labelsOf(judge).map(([words, label]) => button(words, label)),
      button("skip", undefined),
    ),
  ];
}

/** The labels that a person may give, each with its words. */
function labelsOf(judge) {
  if (!judge.scale)
    return [
      ["yes", true],
      ["no", false],
    ];
  const [low, high] = judge.scale;
  return Array.from({ length: Math.floor(high - low) + 1 }, (_, i) => [String(low + i), low + i]);
}

/** Answers in the order to label them: where judge and metric disagree, then the others as a seed shuffles them. */
function labelTurns(metric, rouge) {
  const seen = new Set();
  const all = data.samples.flatMap((sample) =>
    data.models.flatMap((model, i) => {
      const given = sample.predictions[i];
      const key = JSON.stringify([sample.id, given && given.text]);
      if (!given || given.failure || sample.left_out || seen.has(key)) return [];
      seen.add(key);
      const score = (at) => (at < 0 ? null : given.scores[at]);
      return [{ sample, model: model.key, text: given.text, verdict: score(metric), score: score(rouge) }];
    }),
  );
  const scores = all.map((it) => it.score).filter(isNumber);
  const apart = (it) => {
    if (!isNumber(it.verdict) || !isNumber(it.score)) return 0;
    const below = scores.filter((one) => one < it.score).length;
    const equal = scores.filter((one) => one === it.score).length;
    return Math.abs(it.verdict - (below + equal / 2) / scores.length);
  };
  const known = new Map(all.map((it) => [it, apart(it)]));
  const chosen = all
    .filter((it) => known.get(it) > 0.5)
    .sort((one, other) => known.get(other) - known.get(one))
    .slice(0, 20);
  const others = shuffled(all.filter((it) => !chosen.includes(it)));
  return [...chosen.map((it) => ({ ...it, use: "disagreement" })), ...others.map((it) => ({ ...it, use: "random" }))];
}

/** The same order each time the page is opened. */
function shuffled(items) {
  let state = 42;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return items
    .map((item) => [next(), item])
    .sort((one, other) => one[0] - other[0])
    .map(([, item]) => item);
}
