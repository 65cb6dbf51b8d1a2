/* The page: facts, sections in order, and the list of contents. */

const MODES = {
  replay: "replayed from recordings",
  record: "recorded in this run",
  "record-missing": "replayed, and what was missing recorded in this run",
};

document
  .getElementById("facts")
  .append(
    visible(
      [
        counted(data.models.length, "model"),
        counted(data.samples.length, "sample"),
        MODES[data.mode] || data.mode,
      ].join(" \u00b7 "),
    ),
  );

const sections = [
  scoresSection(),
  comparisonsSection(),
  sidesSection(),
  distributionSection(),
  pairsSection(openSample),
  trainingSection(),
  costSection(),
  samplesSection(),
].filter(Boolean);

document.getElementById("main").append(...sections);
document
  .getElementById("contents")
  .append(...sections.map((it) => h("a", { href: "#" + it.id }, it.querySelector("h2").textContent)));
performance.mark("drawn");
