"""Made results for a report: as many models and samples as asked for, with scores that follow a plain rule."""

import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from evaltape.against.history import Fall, Moment
from evaltape.against.tree import Commit
from evaltape.finetuning.recorded_job import Identity, Job
from evaltape.judging.agreement import agree
from evaltape.judging.exam import Damage, Examined, MutantMarks
from evaltape.mutation.model_mutants import ModelMutants
from evaltape.mutation.operators import Mutant
from evaltape.mutation.study import OperatorStudy, Study
from evaltape.reporting.html import page
from evaltape.reporting.model_results import (
    AgainstModel,
    AgainstResults,
    Flips,
    JobResults,
    JudgeResults,
    ModelResults,
    PairResults,
)
from evaltape.reporting.report_data import report_data
from evaltape.reporting.results import Results, SuiteResults
from evaltape.samples.sample import Answer, Failure, Sample, Usage
from evaltape.scoring.bounds import AGAINST, MIN_GAIN, Fragility
from evaltape.scoring.paired_scores import PairedScores, SampleChanges, Side, against_scores
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.references import Outvoted
from evaltape.scoring.scores import ModelScores
from evaltape.scoring.slices import SliceScores
from evaltape.scoring.statistics import Interval
from evaltape.suite.commands import Commands
from evaltape.suite.cost import Price
from evaltape.suite.definition import Comparison, Exam, Finetune, Judge, Model, Train, Verdict
from evaltape.suite.prompt import Prompt
from msgspec.structs import replace

from tests.support import decisions
from tests.support.decisions import compared, difference, gate, mean_gate, paired
from tests.support.metrics import metrics

METRICS = metrics({"rouge1": {}, "rougeL": {}})
ORDER = Finetune(key="tuned", suite="made", base=Model("base", "made", "base"), base_key="base", train=Train())
HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'><b>bold</b>&amp;<!--"
ESCAPES = "\x1b]0;owned\x07\x1b[31mred\x9b2J\u202egnirts\u2028end\x00"
WORDS = ["we", "meet", "at", "noon", "on", "friday", "by", "the", "old", "bridge", "with", "bread", "for", "everyone"]


class MadeScores(ModelScores, frozen=True, dict=True):
    """Scores with means that a test states, of a model that may be gated on them."""

    means: Mapping[str, Interval] = {}
    """Per metric."""
    groups: Mapping[str, Mapping[str, ModelScores]] = {}
    """Its slices."""

    @property
    def intervals(self) -> dict[str, Interval]:  # type: ignore[override]
        return dict(self.means)

    @property
    def slices(self) -> dict[str, dict[str, ModelScores]]:  # type: ignore[override]
        return {column: dict(values) for column, values in self.groups.items()}

    def interval(self, metric: str, confidence: float = 0.95) -> Interval | None:
        return self.means.get(metric)

    def unusable(self, metric: str) -> str:
        return ""


def facts(
    samples: int = 12,
    models: tuple[str, ...] = ("base", "tuned", "third"),
    lines: int = 12,
    failed: int = 1,
    name: str = "made",
) -> Results:
    """A session of one suite: `lines` of talk a sample, `score` for each, the last `failed` unanswered."""
    rows = [_sample(number, lines) for number in range(samples)]
    predictions = [_prediction(rows, number, m, key, failed) for m, key in enumerate(models) for number in range(samples)]
    suite = SuiteResults(
        name,
        "replay",
        METRICS,
        {key: _model([each for each in predictions if each.model.key == key]) for key in models},
        {row.id: row for row in rows},
        commands(),
        computed={"first three lines": made_scores(predictions[:samples], 0.2)},
        jobs={"tuned": _job()} if "tuned" in models else {},
        comparisons={"gain": _comparison(predictions, models)} if len(models) > 1 else {},
    )
    return Results({name: suite}, is_red=True)


def commands() -> Commands:
    """Commands of the default suite."""
    return Commands(["evals"])


def suite_of(results: Results) -> SuiteResults:
    """The first suite of a session."""
    return next(iter(results))


def changed(results: Results, **changes: Any) -> Results:
    """The results with some fields of the first suite replaced."""
    suite = suite_of(results)
    return replace(results, suites={**results.suites, suite.name: replace(suite, **changes)})


def with_model(results: Results, key: str, **changes: Any) -> Results:
    """The results with some fields of a model, or of its scores, replaced."""
    models = suite_of(results).models
    of_scores = {name: changes.pop(name) for name in list(changes) if name in MadeScores.__struct_fields__}
    slices = models[key].slices
    changes["slices"] = replace(slices, scores=replace(slices.scores, **of_scores))
    return changed(results, models={**models, key: replace(models[key], **changes)})


def with_predictions(results: Results, predictions: Iterable[Prediction]) -> Results:
    """The results of models that gave these predictions and no others."""
    given = list(predictions)
    for key in suite_of(results).models:
        results = with_model(results, key, predictions=[each for each in given if each.model.key == key])
    return results


def with_sample(results: Results, sample: str, **changes: Any) -> Results:
    """The results with some fields of a sample replaced."""
    samples = suite_of(results).samples
    return changed(results, samples={**samples, sample: replace(samples[sample], **changes)})


def with_prediction(results: Results, place: int, **changes: Any) -> Results:
    """The results with some fields of a prediction, or of its answer, replaced."""
    predictions = list(suite_of(results).predictions)
    of_answer = {name: changes.pop(name) for name in list(changes) if name in Answer.__struct_fields__}
    answer = msgspec.structs.replace(predictions[place].answer, **of_answer)
    predictions[place] = msgspec.structs.replace(predictions[place], answer=answer, **changes)
    return with_predictions(results, predictions)


def only(results: Results, predictions: Iterable[Prediction]) -> Results:
    """The results of a session that looked at these predictions alone."""
    kept = tuple(predictions)
    seen = {each.sample.id for each in kept}
    samples = {key: sample for key, sample in suite_of(results).samples.items() if key in seen}
    return changed(with_predictions(results, kept), samples=samples)


def without(results: Results, *names: str) -> Results:
    """The results of a suite that has no gates, comparisons, jobs or computed scores."""
    empty: dict[str, Any] = {"comparisons": {}, "jobs": {}, "computed": {}}
    changes = {name: empty[name] for name in names if name != "gates"}
    if "gates" in names:
        changes["models"] = {key: replace(model, gates={}) for key, model in suite_of(results).models.items()}
    return changed(results, **changes)


def with_text(results: Results, text: str) -> Results:
    """The results with a text in every place where a person or a model writes."""
    suite = suite_of(results)
    names = {key: f"{number} {text}" for number, key in enumerate(suite.samples)}
    samples = {
        names[key]: replace(sample, id=names[key], input=f"{text}\n{text}", references=(f"{text} here",))
        for key, sample in suite.samples.items()
    }
    predictions = [
        msgspec.structs.replace(
            each,
            sample=samples[names[each.sample.id]],
            answer=Answer(f"{text} there", None if each.answered else Failure("refused", text)),
        )
        for each in suite.predictions
    ]
    jobs = {key: replace(it, job=replace(it.job, events=_said(it.job, text))) for key, it in suite.jobs.items()}
    return changed(with_predictions(results, predictions), samples=samples, jobs=jobs)


def _said(job: Job, text: str) -> tuple[dict[str, Any], ...]:
    return tuple({**event, "message": text} for event in job.events)


def write_page(folder: Path, results: Results) -> Path:
    """The report of results, as a file."""
    path = folder / "report.html"
    path.write_text(page(report_data(results)), encoding="utf-8")
    return path


def score(number: int, model: int) -> float:
    """The rouge1 of the model of a position on the sample of a position; its rougeL is half of it."""
    return ((7 * number + 5 * model) % 11) / 10


def made_scores(predictions: Sequence[Prediction], value: float) -> MadeScores:
    """The scores of predictions of a model, with the same mean by each metric; none if all failed."""
    answered = sum(each.answered for each in predictions)
    means = dict.fromkeys(METRICS, mean(value, answered)) if answered else {}
    return MadeScores(predictions[0].model, METRICS, predictions, means=means)


def mean(value: float, scored: int = 12) -> Interval:
    """A mean with an interval of 0.05 to either side."""
    return Interval(value, value - 0.05, value + 0.05, scored)


# ---------------------------------------------------------------- further parts


def with_lengths(results: Results) -> Results:
    """The results with a metric without an upper bound of which less is better: words, each model's gate at most 20."""
    suite = suite_of(results)
    words = metrics({"words": {}})["words"]
    predictions = [
        msgspec.structs.replace(each, scores={**each.scores, "words": 10.0 + number % 7}) if each.answered else each
        for number, each in enumerate(suite.predictions)
    ]
    results = changed(with_predictions(results, predictions), metrics={**suite.metrics, "words": words})
    for m, (key, model) in enumerate(suite_of(results).models.items()):
        means = {**model.means, "words": Interval(18.0 + 5 * m, 16.0 + 5 * m, 20.0 + 5 * m, 11)}
        gates = {**model.gates, "words": replace(gate("words", 20.0, m == 0), metric=words)}
        results = with_model(results, key, means=means, gates=gates)
    return results


def with_fragility(results: Results) -> Results:
    """The results with a gate of the first model that seven samples turn, and a comparison that one turns."""
    suite = suite_of(results)
    first, ids = next(iter(suite.models)), tuple(suite.samples)
    gates = dict(suite.models[first].gates)
    gates["rouge1"] = replace(gates["rouge1"], fragility=Fragility(7, ids[3:10], "failed"))
    comparison = suite.comparisons["gain"]
    metrics = {"rougeL": replace(comparison.metrics["rougeL"], fragility=Fragility(1, ids[2:3], "passed"))}
    results = changed(results, comparisons={"gain": replace(comparison, metrics=metrics)})
    return with_model(results, first, gates=gates)


def with_history(results: Results) -> Results:
    """The results with the first model at four commits: at the third it fell, at the fourth it can't be read."""
    suite = suite_of(results)
    first = next(iter(suite.models))
    answered = [each for each in suite.predictions if each.model.key == first and each.answered]
    parts = [answered, answered[:5], answered[5:]]
    moments = [
        Moment(
            Commit(f"{place}abcdef", f"{place}abcdef0123", f"2026-11-0{place}", False),
            ModelScores(part[0].model, metrics({"rouge1": {}}), part),
        )
        for place, part in enumerate(parts, 1)
    ]
    moments[2] = replace(moments[2], falls={"rouge1": Fall(difference(-0.2, -0.3, -0.1, 6))})
    unread = Moment(Commit("4abcdef", "4abcdef0123", "2026-11-04", False), None, "it is no suite")
    return changed(results, history={first: [*moments, unread]})


def with_references(results: Results) -> Results:
    """The results with a reference that the first and the last model agree against."""
    suite = suite_of(results)
    keys = list(suite.models)
    return changed(results, references=(Outvoted(list(suite.samples)[4], (keys[0], keys[-1]), 0.8, 0.25),))


def with_slices(results: Results) -> Results:
    """The results with two topics, of which small talk misses the slice gate of the first model, and a small one."""
    suite = suite_of(results)
    topics = {key: ("travel", "small talk", "law")[number % 3] for number, key in enumerate(suite.samples)}
    samples = {key: replace(sample, columns={"topic": topics[key]}) for key, sample in suite.samples.items()}
    first = suite.predictions[0]
    groups = {
        topic: made_scores([first] * count, value)
        for topic, count, value in (("travel", 31, 0.5), ("small talk", 24, 0.2), ("law", 3, 0.1))
    }
    made = with_model(results, first.model.key, groups={"topic": groups}, slice_gates={"rougeL": gate("rougeL", 0.3, False)})

    def sliced(scores: ModelScores) -> ModelScores:
        return replace(scores, slice_values={"topic": topics})

    comparisons = {}
    for key, it in suite.comparisons.items():
        sides = {"baseline": sliced(it.scores.baseline), "candidate": sliced(it.scores.candidate)}
        comparisons[key] = replace(it, scores=replace(it.scores, **sides))
    return changed(made, samples=samples, slices=("topic",), comparisons=comparisons)


def with_against(results: Results) -> Results:
    """The results beside those of `main`, where the first model answered every sample better by 0.01 times its number."""
    suite = suite_of(results)
    first = next(iter(suite.models))
    answered = [each for each in suite.predictions if each.model.key == first and each.answered]
    before = [
        replace(
            each,
            answer=replace(each.answer, text=f"They met {each.sample.id}"),
            scores={name: value + n / 100 for name, value in each.scores.items()},
        )
        for n, each in enumerate(answered)
    ]
    side, model = Side("main", "0123456789abcdef0123"), answered[0].model
    then, now = (ModelScores(model, {"rouge1": METRICS["rouge1"]}, side) for side in (before, answered))
    scores = replace(against_scores(side, then, now, {"rouge1": 0.02}), samples=SampleChanges(added=("s98", "s99")))
    worse = compared(paired(AGAINST, "rouge1", 0.02, first), "failed", difference(-0.05, -0.06, -0.04, len(answered)))
    models = {first: AgainstModel(scores, {"rouge1": worse})}
    return changed(results, against=AgainstResults(side, models, ("third is new: there is nothing to compare",)))


def with_mutants(results: Results) -> Results:
    """The results with a study of two gates: negation is noticed by one at 50%, a harmless quote by the other."""
    suite = suite_of(results)
    first = next(iter(suite.models))
    gates = [mean_gate("rouge1", 0.3), mean_gate("rougeL", 0.2)]
    noticed, missed = (
        {0.25: 0.4, 0.5: 0.1, 1.0: 0.1},
        {0.25: 0.4, 0.5: 0.4, 1.0: 0.4},
    )
    operators = (
        OperatorStudy(
            "negate", True, 9, 11, (decisions.noticing(gates[0], 0.4, noticed), decisions.noticing(gates[1], 0.4, missed))
        ),
        OperatorStudy(
            "quotes", False, 11, 11, (decisions.noticing(gates[0], 0.4, missed), decisions.noticing(gates[1], 0.4, noticed))
        ),
    )
    example = Mutant("s0", "They will meet 0 of base", "They will not meet 0 of base")
    study = Study(0.25, operators, tuple(gates))
    return changed(results, mutants={first: ModelMutants(first, study, {"negate": example})})


def with_judges(results: Results) -> Results:
    """The results with a judge of the first metric, which missed 15 of 20 swapped names and agrees with most labels."""
    first = next(iter(suite_of(results).metrics))
    pairs = tuple(Mutant(f"s{number}", f"Ann calls Bob {number}", f"Bob calls Ann {number}") for number in range(20))
    marks = MutantMarks((Damage("swap_names", True, pairs, missed=pairs[:15]),), ())
    labels = [(f"s{number}", float(number % 2), [float(number % 2 or number < 4)]) for number in range(40)]
    exam = Exam(mutants=("swap_names",), labels=Path("labels.jsonl"))
    verdict = Verdict(json="faithful")
    judge = Judge(key="faithful", suite="demo", served="judge-1", prompt=Prompt(), verdict=verdict, exam=exam)
    examined = Examined(judge, 60, 1, marks, agree(labels))
    judged = JudgeResults("faithful", 60, 2, examined, (first,), flips=Flips(0.125, 30, 3))
    return changed(results, judges={"faithful": judged})


# ---------------------------------------------------------------- what it is made of


def _sample(number: int, lines: int) -> Sample:
    chance = random.Random(number)
    talk = [f"{('Ana', 'Zoë')[line % 2]}: {' '.join(chance.choices(WORDS, k=8))}\n" for line in range(lines)]
    return Sample(f"s{number}", "".join(talk) + f"Ana: that was number{number}", (f"They meet at {number}.",))


def _prediction(rows: list[Sample], number: int, m: int, key: str, failed: int) -> Prediction:
    price = None if key == "third" else Price(5.0, 20.0)
    model, sample, usage = (
        Model(key, "made", key, price=price, job=ORDER if key == "tuned" else None),
        rows[number],
        Usage(120, 20),
    )
    if number >= len(rows) - failed:
        refused = Failure("refused", "the model refused: I'd rather not", cause="the model refused")
        return Prediction(model, sample, Answer(failure=refused, served=f"{key}-2026", usage=usage))
    scores = {"rouge1": score(number, m), "rougeL": score(number, m) / 2}
    answer = Answer(f"They will meet {number} of {key}", None, number == 0, f"{key}-2026", usage)
    return Prediction(model, sample, answer, scores)


def _model(predictions: list[Prediction]) -> ModelResults:
    scores = made_scores(predictions, 0.4)
    gates = {"rouge1": gate("rouge1", 0.3, bool(scores.answered)), "rougeL": gate("rougeL", 0.45, False)}
    return ModelResults(SliceScores(scores, 20), len(predictions), gates)


def _comparison(predictions: list[Prediction], models: tuple[str, ...]) -> PairResults:
    sides = [[each for each in predictions if each.model.key == key] for key in models[:2]]
    metrics = {"rougeL": METRICS["rougeL"]}
    baseline, candidate = (ModelScores(side[0].model, metrics, side) for side in sides)
    comparison = Comparison(key="gain", suite="made", baseline=models[0], candidate=models[1])
    scores = PairedScores(comparison=comparison, baseline=baseline, candidate=candidate)
    found = difference(0.1, 0.02, 0.18, 11)
    decided = compared(paired(MIN_GAIN, "rougeL", 0.05), "inconclusive", found, "the interval straddles the bound")
    return PairResults(scores, {"rougeL": decided})


def _job() -> JobResults:
    job = Job("ftjob-1", "succeeded", "base", "ft:base:x", 21_000, 21_000, Identity("", "", "", ""))
    rows = [{"step": step, "train_loss": 3 / step, "valid_loss": 2.5 if step % 4 else None} for step in range(1, 21)]
    events = [{"created_at": 1_700_000_000 + 70 * n, "level": "info", "message": f"step {n}"} for n in range(3)]
    return JobResults(ORDER, replace(job, metrics=tuple(rows), events=tuple(events)))
