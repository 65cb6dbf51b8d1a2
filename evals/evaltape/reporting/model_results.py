"""The results of a model, of its fine-tuning job, of a model beside another or its own past, and of a judge.

They hold the frozen values of scoring that tests rest on; the table `FIELDS` of `results_file` lists the written parts.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from evaltape.findings import verdict_on
from evaltape.finetuning.recorded_job import Job
from evaltape.recording.unfinished import ToCome
from evaltape.samples.sample import Usage
from evaltape.scoring.bounds import Decision, Verdict
from evaltape.scoring.noise import Noise
from evaltape.scoring.paired import Difference, two_sided
from evaltape.scoring.paired_scores import AgainstScores, Pair, PairedScores, Side
from evaltape.scoring.statistics import Interval
from evaltape.suite.cost import training_usd
from evaltape.suite.definition import Comparison, Finetune

if TYPE_CHECKING:  # Only a suite with judges needs it.
    from evaltape.judging.exam import Examined


class Slice(msgspec.Struct, frozen=True):
    """The samples that share a column's value."""

    samples: int
    """How many samples have it, failed samples included."""
    failed: int
    scores: Mapping[str, Interval]
    """Per metric that scored any of them."""
    is_gated: bool
    """Whether there are as many as `slice_min`; smaller slices are shown only."""
    verdicts: Mapping[str, Verdict] = {}
    """Per metric of `slice_gates` its decision; empty for a slice that isn't gated."""


class Accepted(msgspec.Struct, frozen=True):
    """A model's scores beside the accepted scores of its snapshot."""

    passed: bool | None
    """The outcome of the snapshot's test; None if it didn't run to its end."""
    changes: Mapping[str, tuple[float | None, float | None]] = {}
    """The differences, as (accepted, now); None for a missing value."""
    exists: bool = True
    """Whether scores were accepted before."""
    test: str = ""

    @property
    def verdict(self) -> Verdict:
        """`passed`, `failed` or `not checked`."""
        return verdict_on(self.passed)

    @property
    def both(self) -> Mapping[str, Mapping[str, float | None]]:
        """The changes by name, each side under its own."""
        return {name: {"accepted": before, "now": now} for name, (before, now) in self.changes.items()}


class ModelResults(msgspec.Struct, frozen=True):
    """A model under test."""

    key: str
    served: str
    """The name that the API says it served: of most answers if they differ."""
    kind: str
    """`baseline`, or `finetuned` for a tuned model."""
    samples: int
    """How many samples the session looked at, failed samples included."""
    of: int
    """How many samples the suite has."""
    failures: Mapping[str, str]
    """The failed samples with their reasons."""
    truncated: int
    """How many answers were cut at the length limit."""
    scores: Mapping[str, Interval]
    """Per metric that scored a sample."""
    gates: Mapping[str, Decision]
    usage: Usage
    """Over all recorded answers."""
    cost_usd: float | None
    allow_failed: int = 0
    """How many failed samples its gates put up with."""
    versions: Mapping[str, int] = {}
    """Every name that the API says it served, with the number of answers. Several: it changed while it was recorded."""
    recorded: tuple[str, str] | None = None
    """The days of its first and its last recorded call, such as `2026-11-24`; None if the recordings don't say."""
    unscored: Mapping[str, Mapping[str, str]] = {}
    """Per metric the answered samples that it couldn't score, with the reasons."""
    slices: Mapping[str, Mapping[str, Slice]] = {}
    """By column and value, in the order of the samples."""
    slice_gates: Mapping[str, Decision] = {}
    accepted: Accepted | None = None
    """None if no test looked at its accepted scores."""
    noise: Mapping[str, Noise] = {}
    """Per metric, if samples were asked repeatedly."""
    unfinished: ToCome | None = None
    """A fresh recording that isn't complete; its gates fail until it is."""

    @property
    def failed(self) -> int:
        """How many samples failed."""
        return len(self.failures)

    @property
    def too_many_failed(self) -> bool:
        """Whether its gates fail for its failed samples alone."""
        return self.failed > self.allow_failed

    @property
    def can_be_accepted(self) -> bool:
        """Whether its scores differ from the accepted scores, and its recording is complete and answered."""
        differs = self.accepted is not None and self.accepted.passed is False
        return differs and bool(self.scores) and not self.too_many_failed and self.unfinished is None

    @property
    def several_versions(self) -> Mapping[str, int]:
        """The served versions if there are several; empty for a single version."""
        return self.versions if len(self.versions) > 1 else {}

    @property
    def noise_beside_gates(self) -> Mapping[str, Mapping[str, object]]:
        """The noise of each mean by the results file's names, and its effect on the suite's gate, if any."""
        names = {**{it: it for it in ("runs", "samples", "of", "mean", "sd", "smallest_drop")}, "gate_1_in_100": "gate"}
        facts: dict[str, dict[str, object]] = {}
        for metric, noise in self.noise.items():
            facts[metric] = {name: getattr(noise, attribute) for name, attribute in names.items()}
            if metric in self.gates:
                gate = self.gates[metric].bound.limit
                chance, inside = noise.chance_to_fail(gate), noise.holds_inside(gate)
                facts[metric] |= {"chance_to_fail_gate": chance, "gate_inside_noise": inside}
        return facts


class Computed(msgspec.Struct, frozen=True):
    """Scores of an answer that costs nothing, on the samples of this run: a model has to beat them."""

    samples: int
    scores: Mapping[str, Interval]
    """Per metric of the text alone."""


class JobResults(msgspec.Struct, frozen=True):
    """A recorded fine-tuning job."""

    order: Finetune
    job: Job

    @property
    def cost_usd(self) -> float | None:
        """Its cost by the suite's price; None without a price for training, or if the API tells no number of tokens."""
        tokens = self.job.trained_tokens
        return None if tokens is None else training_usd(self.order.price, tokens)


class SliceDifference(msgspec.Struct, frozen=True):
    """A comparison on the samples that share a column's value: shown, never asserted."""

    column: str
    value: str
    metrics: Mapping[str, Difference]
    """Per metric that the comparison bounds, if there is a pair."""


class PairResults(msgspec.Struct, frozen=True):
    """A comparison of two models, or of a model with its past, that the session looked at."""

    scores: PairedScores
    """Both sides on the samples that both answered."""
    metrics: Mapping[str, Decision]
    """Per metric that the suite bounds the difference."""
    slices: tuple[SliceDifference, ...] = ()

    @property
    def comparison(self) -> Comparison:
        """The comparison, as the suite states it."""
        return self.scores.comparison

    @property
    def label(self) -> str:
        """The two-sided confidence of its intervals, such as `90%`."""
        return two_sided(self.comparison.confidence)

    @property
    def beside(self) -> Mapping[str, Difference]:
        """The differences of the suite's other metrics, if both sides have scores."""
        return {name: found for name, found in self.scores.differences.items() if name not in self.metrics}

    def named(self, metric: str) -> str:
        """Return the name of a difference in sentences: `tuning-helps rouge1`."""
        return f"{self.comparison.name} {metric}"


class AgainstModel(PairResults, frozen=True):
    """A model beside its recording at another commit."""

    scores: AgainstScores
    """The model then and now, on the samples that both have."""

    def named(self, metric: str) -> str:
        """Return the name of a difference in sentences: `gpt-4o-mini rouge1 against main`."""
        return f"{self.scores.model.key} {metric} against {self.scores.side.ref}"

    @property
    def counts(self) -> Mapping[str, int]:
        """How many samples can't be compared: added, dropped, changed."""
        samples = self.scores.samples
        return {"added": len(samples.added), "dropped": len(samples.dropped), "changed": len(samples.changed)}

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
