"""How much comparisons can decide with the samples there are, before any call is paid for."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping

import msgspec

from evaltape.against.other_side import OtherSide, scores_recorded
from evaltape.metrics.metric import Metric
from evaltape.metrics.scorers import span_of
from evaltape.reporting.tables import aligned
from evaltape.scoring.bounds import AGAINST, Bound, comparison_bounds, model_bounds
from evaltape.scoring.paired import GUESSED_SD, GUESSED_TWO_VALUED_SD, POWER, Difference, pairs_needed, smallest_difference
from evaltape.scoring.paired_scores import PairedScores
from evaltape.scoring.scores import ModelScores
from evaltape.text import counted
from evaltape.workspace import Workspace

TITLES = ("", "spread of pairs", "decides", "bound", "needs")
SIDES, LEAST_WIDTHS, LONGEST_NAME = "<<<<>", (28, 15, 7, 13, 7), 28
LEGEND = (
    "decides: how far off its bound a true difference has to be. needs: the samples that decide a max_drop if nothing "
    "changes, and a min_gain if twice that is gained."
)


class Spread(msgspec.Struct, frozen=True):
    """How far the differences of pairs scatter."""

    sd: float
    is_guessed: bool = False
    pairs_per_cluster: float = 1.0


class Decidable(msgspec.Struct, frozen=True):
    """A bound on a difference, and how many samples decide it."""

    bound: Bound
    samples: int
    metric: Metric
    spread: Spread | None
    """None for a metric without bounds that isn't recorded yet: there is nothing to guess by."""

    @property
    def name(self) -> str:
        """Its name in the table."""
        return f"{self.bound.subject} {self.bound.metric}{' (against)' if self.bound.kind == AGAINST else ''}"

    @property
    def smallest(self) -> float | None:
        """How far off the bound a true difference has to be; None if that can't be said, or nothing is decided."""
        return smallest_difference(self.spread.sd, self.samples, **self._how) if self.spread else None

    @property
    def needed(self) -> int | None:
        """How many samples decide a max_drop if nothing changes, and a min_gain if twice that is gained."""
        return pairs_needed(self.spread.sd, self.bound.limit, **self._how) if self.spread else None

    @property
    def _how(self) -> dict[str, float]:
        return {"confidence": self.bound.confidence, "pairs_per_cluster": self.spread.pairs_per_cluster if self.spread else 1.0}

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        decimals = self.metric.decimals
        spread, nothing = "unknown", "-"
        if self.spread is not None:
            spread = f"{self.spread.sd:.{decimals}f} {'guessed' if self.spread.is_guessed else 'recorded'}"
            nothing = "nothing"
        smallest = nothing if self.smallest is None else f"{self.smallest:.{decimals}f}"
        needed = "-" if self.needed is None else f"{self.needed:,}"
        return self.name, spread, smallest, f"{self.bound.suite_key} {self.bound.limit:g}", needed


def decidable_lines(workspace: Workspace, models: Collection[str], other_side: OtherSide | None) -> Iterator[str]:
    """Yield how much each comparison and each bound of [against] can decide, if it looks at any of `models`.

    `other_side` is the other side of --against, if it is given.
    """
    if workspace.settings.samples is not None:
        return
    bounds = [*_of_comparisons(workspace, models), *_of_against(workspace, models, other_side)]
    if not bounds:
        return
    yield f"What {counted(len(workspace.samples), 'sample')} can decide, in {POWER:.0%} of cases:"
    yield from aligned([TITLES, *(bound.cells for bound in bounds)], SIDES, LEAST_WIDTHS, LONGEST_NAME)
    yield LEGEND
    if any(bound.spread is not None and bound.spread.is_guessed for bound in bounds):
        two_valued = f"{GUESSED_TWO_VALUED_SD:g} of scores that are 0 or 1"
        yield f"A spread is guessed where nothing is recorded: {GUESSED_SD:g} of the metric's range, {two_valued}."
    lacking = [bound.name for bound in bounds if bound.needed is not None and bound.needed > bound.samples]
    if lacking:
        yield f"Too few samples, so that it will mostly stay inconclusive: {', '.join(lacking)}."


def _of_comparisons(workspace: Workspace, models: Collection[str]) -> Iterator[Decidable]:
    recorded: dict[str, ModelScores] = {}
    for comparison in workspace.suite.comparisons.values():
        keys = (comparison.baseline, comparison.candidate)
        if not any(key in models for key in keys):
            continue
        for key in set(keys) - set(recorded):
            recorded[key] = scores_recorded(workspace, workspace.suite.models[key], workspace.samples)
        baseline, candidate = (recorded[key] for key in keys)
        pair = PairedScores(comparison=comparison, baseline=baseline, candidate=candidate)
        yield from _decidable(workspace, comparison_bounds(comparison), _spreads(pair.differences))


def _spreads(differences: Mapping[str, Difference]) -> dict[str, Spread]:
    known = {metric: one for metric, one in differences.items() if not one.is_alike}
    return {metric: Spread(one.sd, pairs_per_cluster=one.samples / one.units) for metric, one in known.items()}


def _decidable(workspace: Workspace, bounds: Iterable[Bound], spreads: Mapping[str, Spread]) -> Iterator[Decidable]:
    for bound in bounds:
        metric = workspace.metrics[bound.metric]
        span, guess = span_of(metric.bounds), GUESSED_TWO_VALUED_SD if metric.is_two_valued else GUESSED_SD
        guessed = None if span is None else Spread(guess * span, is_guessed=True)
        yield Decidable(bound, len(workspace.samples), metric, spreads.get(bound.metric) or guessed)


def _of_against(workspace: Workspace, models: Collection[str], other_side: OtherSide | None) -> Iterator[Decidable]:
    for key in models:
        bounds = [bound for bound in model_bounds(workspace.suite.models[key], workspace.suite) if bound.kind == AGAINST]
        if not bounds:
            continue
        scores = scores_recorded(workspace, workspace.suite.models[key], workspace.samples)
        # The spread between two recordings of an unchanged model, if it was asked repeatedly.
        noises = {name: noise for name, noise in workspace.noise(scores).items() if noise.sd > 0}
        spreads = {name: Spread(math.sqrt(2 * noise.of) * noise.sd) for name, noise in noises.items()}
        if other_side is not None:
            found = other_side.compare(workspace, scores)
            spreads |= {} if found.is_the_same else _spreads(found.differences)
        yield from _decidable(workspace, bounds, spreads)
