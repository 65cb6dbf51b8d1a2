"""The results of a model, of its fine-tuning job, of a model beside another or its own past, and of a judge.

They hold the frozen values of scoring that tests rest on; `results_file` says which of them are written.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from evaltape.findings import Accepted, verdict_on
from evaltape.finetuning.recorded_job import Job
from evaltape.recording.unfinished import ToCome
from evaltape.samples.sample import Usage
from evaltape.scoring.bounds import AGAINST, FAILED, NOT_CHECKED, Decision, Verdict
from evaltape.scoring.noise import Noise
from evaltape.scoring.paired import Difference, two_sided
from evaltape.scoring.paired_scores import AgainstScores, PairedScores, Side
from evaltape.scoring.prediction import Pair, recorded_days, served_versions
from evaltape.scoring.scores import ModelScores, why_unscored
from evaltape.scoring.slices import SliceScores
from evaltape.scoring.statistics import Interval
from evaltape.suite.cost import batch_price, call_usd, training_usd
from evaltape.suite.definition import Finetune

if TYPE_CHECKING:  # Only a suite with judges needs it.
    from evaltape.judging.exam import Examined


class ModelResults(msgspec.Struct, frozen=True, dict=True):
    """A model under test, on the samples that the session looked at."""

    slices: SliceScores
    """Its scores, whole and by slice."""
    of: int
    """How many samples the suite has."""
    gates: Mapping[str, Decision]
    slice_gates: Mapping[str, Decision] = {}
    accepted: Accepted | None = None
    """None if no test looked at its accepted scores."""
    noise: Mapping[str, Noise] = {}
    """Per metric, if samples were asked repeatedly."""
    unfinished: ToCome | None = None
    """A fresh recording that isn't complete; its gates fail until it is."""

    @property
    def scores(self) -> ModelScores:
        """Its predictions with their scores."""
        return self.slices.scores

    @property
    def means(self) -> Mapping[str, Interval]:
        """Per metric that scored a sample, and per corrected mean that a gate asks for."""
        return {**self.scores.intervals, **self.scores.corrected_intervals}

    @property
    def failures(self) -> Mapping[str, str | None]:
        """The failed samples with their reasons."""
        return {one.sample.id: one.failure for one in self.scores.failures}

    @property
    def unscored(self) -> Mapping[str, Mapping[str, str]]:
        """Per metric the answered samples that it couldn't score, with the reasons."""
        return {name: reasons for name in self.scores.metrics if (reasons := why_unscored(self.scores, name))}

    @property
    def too_many_failed(self) -> bool:
        """Whether its gates fail for its failed samples alone."""
        return len(self.scores.failures) > self.scores.model.allow_failed

    @property
    def can_be_accepted(self) -> bool:
        """Whether its scores differ from the accepted scores, and its recording is complete and answered."""
        differs = self.accepted is not None and self.accepted.passed is False
        return differs and bool(self.means) and not self.too_many_failed and self.unfinished is None

    @property
    def recorded(self) -> tuple[str, str] | None:
        """The days of its first and its last recorded call, such as `2026-11-24`; None if the recordings don't say."""
        return recorded_days(self.scores.predictions)

    @property
    def served(self) -> str:
        """The name that the API says it served: of most answers if they differ."""
        answers = served_versions(self.scores.predictions)
        return max(answers, key=lambda name: answers[name]) if answers else self.scores.model.served

    @property
    def versions(self) -> Mapping[str, int]:
        """Every such name with the number of answers, if it changed while it was recorded; empty for a single one."""
        answers = served_versions(self.scores.predictions)
        return answers if len(answers) > 1 else {}

    @property
    def usage(self) -> Usage:
        """The tokens of all recorded answers."""
        usages = [one.answer.usage for one in self.scores.predictions]
        return Usage(sum(it.prompt_tokens for it in usages), sum(it.completion_tokens for it in usages))

    @property
    def cost_usd(self) -> float | None:
        """The cost of the recorded calls by today's price; None without a price."""
        price, answers = self.scores.model.price, [one.answer for one in self.scores.predictions]
        if price is None:
            return None
        priced = ((it.usage, batch_price(price) if it.came else price) for it in answers)
        return sum(call_usd(price, usage.prompt_tokens, usage.completion_tokens) for usage, price in priced)

    def slice_verdicts(self, metric: str) -> dict[tuple[str, str], Verdict]:
        """Return the verdict of a slice gate on each slice, by column and value, that is large enough."""
        gate = self.slice_gates.get(metric)
        if gate is None:
            return {}
        # Where the gate fails for other reasons nothing passed it.
        is_decided = gate.outcome is not None and not self.scores.unusable(metric)
        verdicts = {at: it.verdict for at, it in self.slices.decided(gate.bound).items()}
        return {at: verdict if is_decided or verdict == FAILED else NOT_CHECKED for at, verdict in verdicts.items()}


class JobResults(msgspec.Struct, frozen=True):
    """A recorded fine-tuning job."""

    order: Finetune
    job: Job

    @property
    def cost_usd(self) -> float | None:
        """Its cost by the suite's price; None without a price for training, or if the API tells no number of tokens."""
        tokens = self.job.trained_tokens
        return None if tokens is None else training_usd(self.order.price, tokens)


class PairResults(msgspec.Struct, frozen=True):
    """A comparison of two models, or of a model with its past, that the session looked at."""

    scores: PairedScores
    """Both sides on the samples that both answered."""
    metrics: Mapping[str, Decision]
    """Per metric that the suite bounds the difference."""

    @property
    def label(self) -> str:
        """The two-sided confidence of its intervals, such as `90%`."""
        return two_sided(self.scores.comparison.confidence)

    @property
    def beside(self) -> Mapping[str, Difference]:
        """The differences of the suite's other metrics, if both sides have scores."""
        return {name: found for name, found in self.scores.differences.items() if name not in self.metrics}

    def named(self, metric: str) -> str:
        """Return the name of a bound in sentences: `tuning-helps rouge1`, `gpt-4o-mini rouge1 against main`."""
        bound = self.metrics[metric].bound
        return f"{bound.subject} {metric}{f' against {self.scores.comparison.baseline}' if bound.kind == AGAINST else ''}"


class AgainstModel(PairResults, frozen=True):
    """A model beside its recording at another commit."""

    scores: AgainstScores
    """The model then and now, on the samples that both have."""

    @property
    def counts(self) -> Mapping[str, int]:
        """How many samples can't be compared: added, dropped, changed."""
        return {kind: len(ids) for kind, ids in msgspec.structs.asdict(self.scores.samples).items()}

    @property
    def is_unchanged(self) -> bool:
        """Whether every common sample was asked and answered alike, and every bound passed: a line says it all."""
        return self.scores.is_the_same and all(each.passed for each in self.metrics.values())

    @property
    def is_told_in_notes(self) -> bool:
        """Whether the notes say everything: nothing is compared, or nothing changed."""
        return bool(self.scores.not_compared) or self.is_unchanged


class AgainstResults(msgspec.Struct, frozen=True):
    """The suite's models beside their recordings at another commit."""

    side: Side
    """The other side: the commit or the folder that `--against` names."""
    models: Mapping[str, AgainstModel]
    notes: tuple[str, ...] = ()
    """Notes for a reader: models that are new or gone, samples that changed."""

    @property
    def pairs(self) -> list[Pair]:
        """Every sample that both sides answered, by model."""
        return [pair for model in self.models.values() for pair in model.scores.pairs]


class Flips(msgspec.Struct, frozen=True):
    """How often a judge contradicts itself on an answer."""

    share: float
    """The differing pairs of verdicts on the same answer."""
    answers: int
    verdicts: int
    """The most verdicts on an answer."""


class JudgeResults(msgspec.Struct, frozen=True):
    """A judge."""

    key: str
    asked: int
    """How many answers that the session looked at have a recorded verdict."""
    unread: int
    examined: "Examined"
    metrics: tuple[str, ...] = ()
    missing: tuple[tuple[str, str], ...] = ()
    """The answers without a valid verdict, as (model, sample)."""
    flips: Flips | None = None
    """None unless answers were judged repeatedly."""
    cost_usd: float | None = None
    """The cost of the verdicts by the suite's price; None without a price."""

    @property
    def passed(self) -> bool | None:
        """Whether it passed its exam; None for a judge without an exam."""
        return self.examined.passed if self.examined.decisions else None

    @property
    def verdict(self) -> Verdict:
        """`passed`, `failed` or `not checked`."""
        return verdict_on(self.passed)
