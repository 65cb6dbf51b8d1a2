"""Builds the results of models and their jobs, of comparisons, of models beside the other side, and of judges."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from evaltape.errors import RecordingError
from evaltape.evaluation import Evaluation
from evaltape.metrics.metric import Metric, Metrics, build_metrics
from evaltape.metrics.tokenizers import unicode_words
from evaltape.reporting.model_results import (
    AgainstModel,
    AgainstResults,
    Flips,
    JobResults,
    JudgeResults,
    ModelResults,
    PairResults,
)
from evaltape.samples.sample import Answer, Sample
from evaltape.scoring import bounds
from evaltape.scoring.bounds import Bound, Decision, Kind
from evaltape.scoring.fragility import Removable, fragility
from evaltape.scoring.paired_scores import UNCHANGED, PairedScores
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.scores import ModelScores
from evaltape.scoring.slices import SliceScores
from evaltape.suite.definition import CORRECTED, Judge, Model
from evaltape.suite.metric_tables import Words
from evaltape.text import counted
from evaltape.workspace import Workspace

if TYPE_CHECKING:  # Only a suite with judges needs them.
    from evaltape.recording.verdicts import RecordedVerdict

LEAD = "first three lines"
WHOLE = "whole input"
"""Its name where no input has more lines."""
WORDS = "words"
"""A metric that is always shown, for scores move with an answer's length."""


class SuiteView(msgspec.Struct, dict=True):
    """A suite of a session: its workspace, with the session's findings about it."""

    evaluation: Evaluation
    workspace: Workspace

    @cached_property
    def metrics(self) -> Metrics:
        """The suite's metrics, and the answers' length."""
        named, root = self.workspace.metrics, self.workspace.settings.root
        return named if WORDS in named else Metrics({**named, **build_metrics({WORDS: Words(WORDS)}, "", root)})

    @property
    def shown_metrics(self) -> dict[str, Metric]:
        """These, and the corrected means that bounds are on: they stand beside the metrics that they are of."""
        asked = {bound.metric for bound in bounds.bounds_of(self.workspace.suite)}
        names = (each for name in self.metrics for each in (name, f"{name}{CORRECTED}"))
        return {name: self.metrics[name] for name in names if name in self.metrics or name in asked}

    @cached_property
    def looked_at(self) -> dict[str, ModelScores]:
        """The scores of each model on the samples that the session has looked at, by key; models without any left out."""
        scores = (self._scores(model) for model in self.workspace.suite.models.values())
        return {each.model.key: each for each in scores if each.predictions}

    @cached_property
    def samples(self) -> list[Sample]:
        """The samples that were looked at."""
        seen = {prediction.sample.id for scores in self.looked_at.values() for prediction in scores.predictions}
        return [sample for sample in self.workspace.samples if sample.id in seen] if seen else []

    def decided(self, asked: Iterable[Bound], scores: Removable, *kinds: Kind) -> dict[str, Decision]:
        """Decide bounds in this session, all or those of some kinds, by metric; how fragile that is only for a file."""
        found = {}
        for bound in (bound for bound in asked if bound.kind in kinds or not kinds):
            decision = scores.decide(bound)
            found[bound.metric] = tested = self.evaluation.findings.tested(decision)
            if tested.verdict == decision.verdict and self.evaluation.settings.writes_files:
                found[bound.metric] = msgspec.structs.replace(tested, fragility=fragility(decision, scores))
        return found

    def _scores(self, model: Model) -> ModelScores:
        known, workspace = self.evaluation.findings.predictions, self.workspace
        keys = [(workspace.name, model.key, sample.id) for sample in workspace.samples]
        predictions = [known[key] for key in keys if key in known]
        for place, each in enumerate(predictions):
            if each.answered and WORDS not in workspace.metrics:
                words = {**each.scores, WORDS: float(len(unicode_words(each.text)))}
                predictions[place] = msgspec.structs.replace(each, scores=words)
        return ModelScores(model, self.metrics, predictions, workspace.clusters, workspace.slice_values, workspace.grounds)


def model_results(view: SuiteView, scores: ModelScores) -> ModelResults:
    """Return the session's findings about a model."""
    slices = SliceScores(scores, view.workspace.suite.dataset.slice_min)
    asked, unfinished = list(bounds.model_bounds(scores.model, view.workspace.suite)), None
    with contextlib.suppress(RecordingError):  # Its file is damaged.
        unfinished = view.workspace.to_come(scores.model)
    return ModelResults(
        slices,
        of=len(view.workspace.samples),
        gates=view.decided(asked, scores, bounds.GATE),
        slice_gates=view.decided(asked, slices, bounds.SLICE_GATE),
        accepted=view.evaluation.findings.accepted.get((scores.model.suite, scores.model.key)),
        noise=view.workspace.noise(scores),
        unfinished=unfinished,
    )


def computed(view: SuiteView) -> dict[str, ModelScores]:
    """Return the scores of each input's first three lines: computed, not recorded. A single line is scored whole."""
    rows = [view.evaluation.lead(view.workspace.name, sample) for sample in view.samples]
    names = [name for name in view.workspace.text_metrics if rows and all(name in row for row in rows)]
    if not names:
        return {}
    nobody, metrics = Model("", view.workspace.name, ""), {name: view.metrics[name] for name in names}
    predictions = [Prediction(nobody, it, Answer(), row) for it, row in zip(view.samples, rows, strict=True)]
    scores = ModelScores(nobody, metrics, predictions, view.workspace.clusters)
    whole = all(len(sample.input.splitlines()) == 1 for sample in view.samples)
    return {WHOLE if whole else LEAD: scores}


def job_results(view: SuiteView) -> dict[str, JobResults]:
    """Return the recorded jobs of the tuned models that were looked at; perhaps by workers alone, so they are read here."""
    jobs = [scores.model.job for scores in view.looked_at.values() if scores.model.job]
    known = view.workspace.jobs
    return {job.key: JobResults(job, known.job(job.key)) for job in jobs if known.is_recorded(job.key)}


def comparison_results(view: SuiteView) -> dict[str, PairResults]:
    """Return the comparisons of which the run looked at both models, by name."""
    found = {}
    for it in view.workspace.suite.comparisons.values():
        if {it.baseline, it.candidate} <= set(view.looked_at):
            baseline, candidate = (view.looked_at[key] for key in (it.baseline, it.candidate))
            pair = PairedScores(comparison=it, baseline=baseline, candidate=candidate)
            found[it.key] = PairResults(pair, view.decided(bounds.comparison_bounds(it), pair))
    return found


def against_results(view: SuiteView) -> AgainstResults | None:
    """Return the models that were looked at beside the other side; None without `--against` or without such a model.

    A model of which only some samples were looked at isn't compared.
    """
    workspace, other_side, models = view.workspace, view.evaluation.other_side, {}
    if other_side is None or not view.looked_at:
        return None
    for key, seen in view.looked_at.items():
        if len(seen.predictions) == len(workspace.samples):
            scores = view.evaluation.against(seen.model)
        else:
            why = f"{len(seen.predictions)} of {counted(len(workspace.samples), 'sample')} were looked at"
            scores = other_side.not_compared(workspace, seen.model, why)
        decided = view.decided(bounds.model_bounds(seen.model, workspace.suite), scores, bounds.AGAINST)
        models[key] = AgainstModel(scores, decided)
    return AgainstResults(other_side.side, models, (f"Compared with {other_side.side.title}.", *_notes(models)))


def _notes(models: Mapping[str, AgainstModel]) -> Iterator[str]:
    """Name all unchanged models in one line; then tell how each of the others changed."""
    unchanged = [key for key, it in models.items() if it.scores.unchanged and not it.scores.notes]
    if unchanged:
        yield f"{', '.join(unchanged)}: {UNCHANGED}"
    for key, found in ((key, it.scores) for key, it in models.items()):
        if found.not_compared:
            yield f"{key} isn't compared: {found.not_compared}."
        if found.notes:
            yield f"{key}: {'; '.join([*([found.unchanged] if found.unchanged else []), *found.notes])}"


def judge_results(view: SuiteView) -> dict[str, JudgeResults]:
    """Return each judge of the suite, with its verdicts on the answers that were looked at."""
    workspace = view.workspace
    answered = [each for scores in view.looked_at.values() for each in scores.answered]
    return {key: _judge(view, judge, answered) for key, judge in workspace.suite.judges.items()}


def _judge(view: SuiteView, judge: Judge, answered: list[Prediction]) -> JudgeResults:
    workspace = view.workspace
    metrics = tuple(name for name, by in workspace.suite.judged_by.items() if by.key == judge.key)
    found = [(each, _verdict(workspace, judge, each)) for each in answered] if metrics else []
    verdicts = [verdict for _, verdict in found if verdict is not None]
    costs = [verdict.cost_usd for verdict in verdicts if verdict.cost_usd is not None]
    return JudgeResults(
        judge.key,
        asked=len(verdicts),
        unread=sum(verdict.score is None for verdict in verdicts),
        examined=view.evaluation.examined(judge),
        metrics=metrics,
        missing=tuple((each.model.key, each.sample.id) for each, verdict in found if verdict is None),
        flips=_flips(workspace, judge, [(each, verdict.score) for each, verdict in found if verdict is not None]),
        cost_usd=sum(costs) if costs and judge.price else None,
    )


def _verdict(workspace: Workspace, judge: Judge, of: Prediction, again: int = 1) -> "RecordedVerdict | None":
    from evaltape.recording.verdicts import Asked

    try:
        return workspace.verdicts.read(Asked(judge, of.sample, of.text, of.model.key, again=again))
    except RecordingError:
        return None


def _flips(workspace: Workspace, judge: Judge, first: list[tuple[Prediction, float | None]]) -> Flips | None:
    """Return how often verdicts on the same answer differ; None if no answer has several that can be read."""
    from evaltape.judging.agreement import flips

    repeated = []
    for each, score in ((each, score) for each, score in first if score is not None):
        numbers = workspace.verdicts.further(judge, each.model.key, each.sample)
        further = [_verdict(workspace, judge, each, again) for again in numbers]
        repeated.append([score, *(it.score for it in further if it is not None and it.score is not None)])
    share = flips(repeated)
    several = [len(each) for each in repeated if len(each) > 1]
    return None if share is None else Flips(share, len(several), max(several))
