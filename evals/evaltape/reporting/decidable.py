"""What comparisons can decide with the samples there are, before any of them is paid for."""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from evaltape.against.other_side import OtherSide
from evaltape.against.recorded import scores_recorded
from evaltape.samples.sample import Sample
from evaltape.scoring import power
from evaltape.scoring.bounds import CONFIDENCE
from evaltape.scoring.metrics import Metric
from evaltape.scoring.noise import noise_of
from evaltape.scoring.paired import Difference
from evaltape.scoring.paired_scores import PairedScores
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.scores import ModelScores
from evaltape.suite.definition import Model
from evaltape.text import counted
from evaltape.workspace import Workspace

NAME = 30
COLUMNS = f"  {{:<{NAME}}}{{:<17}}{{:<9}}{{:<15}}{{:>7}}"
RECORDED, GUESSED = "recorded", "guessed"
LEGEND = (
    "decides: how far off its bound a true difference has to be. needs: the samples that decide a max_drop if nothing "
    "changes, and a min_gain if twice that is gained."
)


@dataclass(frozen=True)
class Spread:
    """How far the differences of pairs scatter."""

    sd: float
    source: str
    """`recorded` or `guessed`."""
    pairs_per_cluster: float = 1.0


@dataclass(frozen=True)
class Decidable:
    """One bound, and what it takes to decide it."""

    name: str
    kind: str
    """`min_gain` or `max_drop`."""
    bound: float
    samples: int
    confidence: float
    metric: Metric
    spread: Spread | None
    """None for a metric without bounds that isn't recorded yet: there is nothing to guess by."""

    @property
    def smallest(self) -> float | None:
        """How far off the bound a true difference has to be; None if that can't be said, or nothing is decided."""
        if self.spread is None:
            return None
        per_cluster = self.spread.pairs_per_cluster
        return power.smallest_difference(
            self.spread.sd, self.samples, confidence=self.confidence, pairs_per_cluster=per_cluster
        )

    @property
    def needed(self) -> int | None:
        """How many samples decide a max_drop if nothing changes, and a min_gain if twice that is gained."""
        if self.spread is None:
            return None
        per_cluster = self.spread.pairs_per_cluster
        return power.pairs_needed(self.spread.sd, self.bound, confidence=self.confidence, pairs_per_cluster=per_cluster)

    @property
    def lines(self) -> Iterator[str]:
        """The line of the table; two if the name is long."""
        is_long = len(self.name) >= NAME
        if is_long:
            yield f"  {self.name}"
        decimals = self.metric.decimals
        spread = "unknown" if self.spread is None else f"{self.spread.sd:.{decimals}f} {self.spread.source}"
        nothing = "-" if self.spread is None else "nothing"
        smallest = nothing if self.smallest is None else f"{self.smallest:.{decimals}f}"
        needed = "-" if self.needed is None else f"{self.needed:,}"
        bound = f"{self.kind} {self.bound:g}"
        yield COLUMNS.format("" if is_long else self.name, spread, smallest, bound, needed).rstrip()


def decidable_lines(workspace: Workspace, models: Collection[str], other_side: OtherSide | None) -> Iterator[str]:
    """Yield what each comparison and each bound of [against] can decide, of those that look at some of `models`.

    `other_side` is what --against names, if it is given.
    """
    if workspace.settings.samples is not None:
        return
    bounds = [*_of_comparisons(workspace, models), *_of_against(workspace, models, other_side)]
    if not bounds:
        return
    yield f"What {counted(len(workspace.samples), 'sample')} can decide, in {power.POWER:.0%} of cases:"
    yield COLUMNS.format("", "spread of pairs", "decides", "bound", "needs")
    for bound in bounds:
        yield from bound.lines
    yield LEGEND
    if any(bound.spread is not None and bound.spread.source == GUESSED for bound in bounds):
        yield f"A spread is guessed where nothing is recorded: {power.GUESSED_SD:g} of the metric's range."
    lacking = [bound.name for bound in bounds if bound.needed is not None and bound.needed > bound.samples]
    if lacking:
        yield f"Too few samples, so that it will mostly stay inconclusive: {', '.join(lacking)}."


# ---------------------------------------------------------------- comparisons


def _of_comparisons(workspace: Workspace, models: Collection[str]) -> Iterator[Decidable]:
    recorded: dict[str, ModelScores] = {}
    for comparison in workspace.suite.comparisons.values():
        keys = (comparison.baseline, comparison.candidate)
        if not any(key in models for key in keys):
            continue
        for key in set(keys) - set(recorded):
            recorded[key] = scores_recorded(workspace, workspace.suite.models[key], workspace.samples)
        baseline, candidate = (recorded[key] for key in keys)
        pair = PairedScores(comparison=comparison, metrics=workspace.metrics, baseline=baseline, candidate=candidate)
        for kind, bounds in (("min_gain", comparison.min_gain), ("max_drop", comparison.max_drop)):
            spreads = _spreads(pair.differences)
            yield from _bounds(workspace, comparison.name, kind, bounds, comparison.confidence, spreads)


def _spreads(differences: Mapping[str, Difference]) -> dict[str, Spread]:
    """Return the spreads of differences that show any."""
    known = {metric: one for metric, one in differences.items() if not one.is_alike}
    return {metric: Spread(one.sd, RECORDED, one.samples / one.units) for metric, one in known.items()}


def _bounds(
    workspace: Workspace,
    name: str,
    kind: str,
    bounds: Mapping[str, float],
    confidence: float,
    spreads: Mapping[str, Spread],
    after: str = "",
) -> Iterator[Decidable]:
    for key, bound in bounds.items():
        metric = workspace.metrics[key]
        spread = spreads.get(key) or _guess(metric)
        yield Decidable(f"{name} {key}{after}", kind, bound, len(workspace.samples), confidence, metric, spread)


def _guess(metric: Metric) -> Spread | None:
    low, high = metric.bounds
    return None if low is None or high is None else Spread(power.GUESSED_SD * (high - low), GUESSED)


# ---------------------------------------------------------------- earlier recordings of the same model


def _of_against(workspace: Workspace, models: Collection[str], other_side: OtherSide | None) -> Iterator[Decidable]:
    max_drop = workspace.suite.against.max_drop if workspace.suite.against is not None else {}
    for key in models if max_drop else ():
        scores = scores_recorded(workspace, workspace.suite.models[key], workspace.samples)
        spreads = _spreads_of_repeats(workspace, scores)
        if other_side is not None:
            found = other_side.compare(workspace, scores)
            spreads |= {} if found.is_the_same else _spreads(found.differences)
        yield from _bounds(workspace, key, "max_drop", max_drop, CONFIDENCE, spreads, " (against)")


def _spreads_of_repeats(workspace: Workspace, scores: ModelScores) -> dict[str, Spread]:
    """Return the spread between two recordings of an unchanged model, by metric, if it was asked repeatedly."""
    repeats = workspace.recordings.repeats(scores.model)
    answers = [[first, *_repeated(workspace, scores.model, first.sample, repeats)] for first in scores.answered]
    spreads = {}
    for metric in workspace.metrics if repeats else ():
        scored = [[one.scores[metric] for one in again if metric in one.scores] for again in answers]
        noise = noise_of([again for again in scored if again])
        if noise is not None and noise.sd > 0:
            spreads[metric] = Spread(math.sqrt(2 * noise.of) * noise.sd, RECORDED)
    return spreads


def _repeated(workspace: Workspace, model: Model, sample: Sample, repeats: Mapping[str, list[int]]) -> Iterator[Prediction]:
    """Yield the further answers to a sample that are validly recorded."""
    for repeat in repeats.get(sample.name, ()):
        again = workspace.recorded(model, sample, repeat)
        if again.answered:
            yield again
