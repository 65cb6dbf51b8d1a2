/* The page: the choice of a suite, its facts, sections in order, and the list of contents. */

const MODES = {
  replay: "replayed from recordings",
  record: "recorded in this run",
  "record-missing": "replayed, and what was missing recorded in this run",
};

/** Draw one suite in place of what is there. */
function openSuite(at) {
  startSuite(report.suites[at]);
  const facts = [counted(data.models.length, "model"), counted(data.samples.length, "sample"), ...recordedWords()];
  document.getElementById("facts").replaceChildren(visible([...facts, MODES[data.mode] || data.mode].join(" \u00b7 ")));
  const sections = [
    scoresSection(),
    slicesSection(),
    comparisonsSection(),
    sidesSection(),
    againstSection(openSample),
    historySection(),
    judgesSection(),
    mutantsSection(),
    distributionSection(),
    pairsSection(openSample),
    referencesSection(),
    trainingSection(),
    costSection(),
    samplesSection(),
  ].filter(Boolean);
  document.getElementById("main").replaceChildren(...sections);
  document
    .getElementById("contents")
    .replaceChildren(...sections.map((it) => h("a", { href: "#" + it.id }, it.querySelector("h2").textContent)));
}

/** When the recordings were made, over all models. */
function recordedWords() {
  const days = data.models.flatMap((model) => model.recorded || []).sort();
  if (!days.length) return [];
  const [first, last] = [days[0], days[days.length - 1]];
  return [first === last ? `recorded ${first}` : `recorded ${first} to ${last}`];
}

/** Buttons to choose the suite with; nothing where there is only one. */
function suiteChooser() {
  if (report.suites.length < 2) return [];
  const inputs = report.suites.map((_, i) =>
    h("input", { type: "radio", name: "suite", value: i, change: () => openSuite(i) }),
  );
  inputs[0].checked = true;
  suiteInputs = inputs;
  const labels = inputs.map((input, i) => h("label", {}, input, h("span", {}, report.suites[i].suite)));
  return [h("fieldset", { class: "segments" }, h("legend", {}, "Suite"), labels)];
}

/** A line of the verdict leads to its numbers: its suite, its metric, its model's worst samples. */
function followReason(event) {
  const { suite, model, metric } = event.currentTarget.dataset;
  if (suiteInputs.length && !suiteInputs[suite].checked) {
    suiteInputs[suite].checked = true;
    openSuite(Number(suite));
  }
  if (metricAt.has(metric)) focusOn(modelAt.get(model), metricAt.get(metric));
}

let suiteInputs = [];
for (const link of document.querySelectorAll(".reasons a")) link.addEventListener("click", followReason);
document.getElementById("suites").replaceChildren(...suiteChooser());
openSuite(0);
performance.mark("drawn");
