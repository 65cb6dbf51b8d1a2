"""Builds the results of single models and of jobs."""

import contextlib
from collections.abc import Iterable, Mapping
from functools import cached_property

import msgspec

from evaltape.errors import RecordingError
from evaltape.evaluation import Evaluation
from evaltape.metrics.metric import Metric, Metrics, build_metrics
from evaltape.metrics.tokenizers import unicode_words
from evaltape.reporting.model_results import Accepted, Computed, JobResults, ModelResults, Slice
from evaltape.reporting.tables import changes
from evaltape.samples.sample import Answer, Sample, Usage
from evaltape.scoring import bounds
from evaltape.scoring.bounds import FAILED, NOT_CHECKED, Bound, Decision, Kind, Verdict
from evaltape.scoring.fragility import Removable, fragility
from evaltape.scoring.prediction import Prediction, recording_dates
from evaltape.scoring.scores import ModelScores, why_unscored
from evaltape.scoring.slices import SliceScores
from evaltape.suite.cost import batch_price, call_usd
from evaltape.suite.definition import CORRECTED, MetricSpec, Model
from evaltape.workspace import Workspace

LEAD = "first three lines"
WHOLE = "whole input"
"""Its name where no input has more lines."""
WORDS = "words"
"""A metric that is always shown, for scores move with an answer's length."""


class SuiteView:
    """A suite of a session: its workspace, with the session's findings about it."""

    def __init__(self, evaluation: Evaluation, workspace: Workspace) -> None:
        self.evaluation = evaluation
        self.workspace = workspace

    @cached_property
    def metrics(self) -> Metrics:
        """The suite's metrics, and the answers' length."""
        named, root = self.workspace.metrics, self.workspace.settings.root
        return named if WORDS in named else Metrics({**named, **build_metrics({WORDS: MetricSpec(WORDS, WORDS)}, "", root)})

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
    model = scores.model
    slices = SliceScores(scores, view.workspace.suite.dataset.slice_min)
    asked = list(bounds.model_bounds(model, view.workspace.suite))
    slice_gates = view.decided(asked, slices, bounds.SLICE_GATE)
    dates = recording_dates(scores.predictions)
    served = {version.name: version.answers for version in dates.versions}
    usages = [prediction.answer.usage for prediction in scores.predictions]
    unfinished = None
    with contextlib.suppress(RecordingError):  # Its file is damaged.
        unfinished = view.workspace.to_come(model)
    return ModelResults(
        model.key,
        served=max(served, key=lambda name: served[name]) if served else model.served,
        kind=model.kind,
        samples=len(scores.predictions),
        of=len(view.workspace.samples),
        failures={prediction.sample.id: prediction.failure or "" for prediction in scores.failures},
        truncated=scores.truncated,
        scores={**scores.intervals, **scores.corrected_intervals},
        gates=view.decided(asked, scores, bounds.GATE),
        usage=Usage(sum(it.prompt_tokens for it in usages), sum(it.completion_tokens for it in usages)),
        cost_usd=_cost_usd(scores),
        allow_failed=model.allow_failed,
        versions=served,
        recorded=None if dates.first is None or dates.last is None else (dates.first, dates.last),
        unscored={metric: reasons for metric in view.workspace.metrics if (reasons := why_unscored(scores, metric))},
        slices=_slices(slices, slice_gates),
        slice_gates=slice_gates,
        accepted=_accepted(view, scores),
        noise=view.workspace.noise(scores),
        unfinished=unfinished,
    )


def _cost_usd(scores: ModelScores) -> float | None:
    """Return the cost of the recorded calls by today's price; None without a price."""
    model, costs = scores.model, []
    for answer in (prediction.answer for prediction in scores.predictions if model.price):
        price = batch_price(model.price) if answer.came else model.price
        costs.append(call_usd(price, answer.usage.prompt_tokens, answer.usage.completion_tokens))
    return sum(costs) if model.price else None


def _slices(slices: SliceScores, gates: Mapping[str, Decision]) -> dict[str, dict[str, Slice]]:
    verdicts: dict[tuple[str, str], dict[str, Verdict]] = {}
    for metric, gate in gates.items():
        # Where the gate fails for other reasons nothing passed it.
        is_decided = gate.outcome is not None and not slices.scores.unusable(metric)
        for it in slices.decided(gate.bound):
            decided = it.verdict if is_decided or it.verdict == FAILED else NOT_CHECKED
            verdicts.setdefault((it.column, it.value), {})[metric] = decided
    found: dict[str, dict[str, Slice]] = {}
    for column, value, each in slices:
        facts = len(each.predictions), len(each.failures), each.intervals, slices.is_gated(each)
        found.setdefault(column, {})[value] = Slice(*facts, verdicts.get((column, value), {}))
    return found


def _accepted(view: SuiteView, scores: ModelScores) -> Accepted | None:
    found = view.evaluation.findings.accepted.get((view.workspace.name, scores.model.key))
    if found is None:
        return None
    test_id, passed, compared = found
    now = ModelScores(scores.model, view.workspace.metrics, scores.predictions).accepted
    return Accepted(passed, changes(compared.values, now), compared.values is not None, test_id)


def computed(view: SuiteView) -> dict[str, Computed]:
    """Return the scores of each input's first three lines: computed, not recorded. A single line is scored whole."""
    rows = [view.evaluation.lead(view.workspace.name, sample) for sample in view.samples]
    names = [name for name in view.workspace.text_metrics if rows and all(name in row for row in rows)]
    if not names:
        return {}
    nobody, metrics = Model("", view.workspace.name, ""), {name: view.metrics[name] for name in names}
    predictions = [Prediction(nobody, it, Answer(), row) for it, row in zip(view.samples, rows, strict=True)]
    scores = ModelScores(nobody, metrics, predictions, view.workspace.clusters)
    whole = all(len(sample.input.splitlines()) == 1 for sample in view.samples)
    return {WHOLE if whole else LEAD: Computed(len(rows), scores.intervals)}


def job_results(view: SuiteView) -> dict[str, JobResults]:
    """Return the recorded jobs of the tuned models that were looked at; perhaps by workers alone, so they are read here."""
    jobs = [scores.model.job for scores in view.looked_at.values() if scores.model.job]
    known = view.workspace.jobs
    return {job.key: JobResults(job, known.job(job.key)) for job in jobs if known.is_recorded(job.key)}
