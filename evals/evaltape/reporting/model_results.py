"""What a session found out about single models, and about the jobs that tuned them."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from evaltape.reporting.facts import Accepted, Slice, Unfinished
from evaltape.samples.sample import Usage
from evaltape.scoring.bounds import Decision
from evaltape.scoring.noise import Noise
from evaltape.scoring.statistics import Interval


class ModelResults(msgspec.Struct, frozen=True):
    """One model under test."""

    key: str
    """Its key in the suite."""
    served: str
    """The name that the API says it served: of most answers if they differ."""
    kind: str
    """`baseline`, or `finetuned` for a tuned model."""
    samples: int
    """How many samples the session looked at, failed ones included."""
    of: int
    """How many samples the suite has."""
    failures: Mapping[str, str]
    """The failed samples with their reasons."""
    truncated: int
    """How many answers were cut at the length limit."""
    scores: Mapping[str, Interval]
    """Per metric that scored a sample."""
    gates: Mapping[str, Decision]
    """Per metric of `gates`."""
    usage: Usage
    """Over all recorded answers."""
    cost_usd: float | None
    """Their cost by the suite's prices; None without prices."""
    allow_failed: int = 0
    """How many failed samples its gates put up with."""
    versions: Mapping[str, int] = {}
    """Every name that the API says it served, with the number of answers. Several: it changed while it was recorded."""
    recorded: tuple[str, str] | None = None
    """The days of its first and its last recorded call, such as `2026-11-24`; None if the recordings don't say."""
    unscored: Mapping[str, Mapping[str, str]] = {}
    """Per metric the answered samples that it couldn't score, with the reasons."""
    slices: tuple[Slice, ...] = ()
    """By column, in the order of the samples."""
    slice_gates: Mapping[str, Decision] = {}
    """Per metric of `slice_gates`."""
    accepted: Accepted | None = None
    """Its scores beside the accepted ones; None if no test looked at them."""
    noise: Mapping[str, Noise] = {}
    """Per metric, if samples were asked repeatedly."""
    unfinished: Unfinished | None = None
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
        """Whether its scores differ from the accepted ones, and are of answers that are as they should be."""
        differs = self.accepted is not None and self.accepted.passed is False
        return differs and bool(self.scores) and not self.too_many_failed and self.unfinished is None

    @property
    def all_gates(self) -> Iterator[Decision]:
        """Yield its gates and its slice gates."""
        yield from self.gates.values()
        yield from self.slice_gates.values()

    @property
    def several_versions(self) -> Mapping[str, int]:
        """The served versions if there are several; empty for a single version."""
        return self.versions if len(self.versions) > 1 else {}

    @property
    def slices_by_column(self) -> Mapping[str, Mapping[str, Slice]]:
        """The slices by column and value."""
        columns: dict[str, dict[str, Slice]] = {}
        for each in self.slices:
            columns.setdefault(each.column, {})[each.value] = each
        return columns

    @property
    def noise_beside_gates(self) -> Mapping[str, Mapping[str, object]]:
        """The noise by metric, and its effect on the suite's gate, if any."""
        limits = {metric: gate.bound.limit for metric, gate in self.gates.items()}
        return {metric: noise_facts(noise, limits.get(metric)) for metric, noise in self.noise.items()}


def noise_facts(noise: Noise, gate: float | None) -> Mapping[str, object]:
    """Return the noise of a mean by the results file's names; `gate` is the suite's, if any."""
    names = ("runs", "samples", "of", "mean", "sd", "smallest_drop")
    facts = {**{name: getattr(noise, name) for name in names}, "gate_1_in_100": noise.gate}
    if gate is None:
        return facts
    return {**facts, "chance_to_fail_gate": noise.chance_to_fail(gate), "gate_inside_noise": noise.holds_inside(gate)}


class Computed(msgspec.Struct, frozen=True):
    """Scores of an answer that costs nothing, on the samples of this run: a model has to beat them."""

    name: str
    """`first three lines`."""
    samples: int
    """How many samples."""
    scores: Mapping[str, Interval]
    """Per metric of the text alone."""


class JobResults(msgspec.Struct, frozen=True):
    """A recorded fine-tuning job."""

    key: str
    """Its key in the suite, and that of its tuned model."""
    id: str
    """The API's id of it."""
    status: str
    """The API's word: `succeeded`."""
    base: str
    """The key of the model that was tuned."""
    tuned_model: str
    """The name that the tuned model is asked by."""
    trained_tokens: int | None
    """How many tokens were trained on, over all epochs; None if the API doesn't tell."""
    cost_usd: float | None
    """Its cost by the suite's price; None without a price for training, or if the tokens aren't told."""
    differences: tuple[str, ...] = ()
    """How the API says that it trained otherwise than the suite asks."""
    metrics: tuple[Mapping[str, float | None], ...] = ()
    """A row per step: `step`, `train_loss`, `valid_loss`; for the report."""
    events: tuple[Mapping[str, Any], ...] = ()
    """The API's messages, oldest first: `created_at`, `level`, `message`; for the report."""
