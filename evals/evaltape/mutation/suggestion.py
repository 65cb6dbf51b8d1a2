"""Gates that recordings suggest: for each metric the mean that an unchanged model falls under once in 100 recordings.

Recorded repeats say how far a mean moves by itself (`Noise.gate`). Without enough repeats the end of the mean's interval
serves: it is about the choice of samples, so it is usually looser, and nobody measured how often it fails.
"""

import math
from collections.abc import Iterable, Mapping
from itertools import combinations

import msgspec

from evaltape.metrics.metric import Metric
from evaltape.mutation.study import Study
from evaltape.scoring.bounds import GATE, Bound, so_many
from evaltape.scoring.noise import ALARMS, LEAST_SAMPLES, Noise
from evaltape.scoring.scores import ModelScores


class SuggestedGate(msgspec.Struct, frozen=True):
    """A gate, with the grounds of its limit, and the damage that it notices."""

    bound: Bound
    samples: int
    """How many samples its mean is of."""
    ground: str
    """The recordings behind the limit, in a sentence."""
    is_measured: bool
    """Whether repeats say how often an unchanged model fails it."""
    noticed: tuple[str, ...] = ()
    """The harmful operators that it notices at the share that counts."""
    unknown: str = ""
    """Why it is unknown which damage it notices; empty if it is known."""
    more: str = ""
    """How many samples a gate on this metric needs to notice a further operator; empty if it notices all."""


class Suggestion(msgspec.Struct, frozen=True):
    """The gates that are suggested for a model."""

    gates: tuple[SuggestedGate, ...]
    unsuggested: Mapping[str, str]
    """The metrics that no gate can be suggested for, each with the reason."""
    operators: tuple[str, ...]
    """The harmful operators that apply to some answer."""
    noticed_at: float
    """The share of damaged answers that counts."""
    smallest: tuple[str, ...]
    """The metrics of the smallest set of gates that notices all that any gate notices."""


def propose(scores: ModelScores, name: str, noise: Noise | None) -> SuggestedGate | str:
    """Return the gate on a metric that these recordings speak for, or why they don't speak for any."""
    metric, found = scores.metrics[name], scores.interval(name)
    lacking = " and ".join(scores.faults(name)) or ("" if found else "no answer has a score")
    if found is None or lacking:
        return lacking
    if noise is not None and noise.gate is not None:
        answers = f"up to {noise.runs} answers each to {noise.samples:,} samples"
        ground = f"an unchanged model fails it at most once in {1 / ALARMS:.0f} recordings, by {answers}"
        return _proposal(scores, metric, noise.gate, ground, is_measured=True)
    units, noun = (found.samples, "samples") if found.clusters is None else (found.clusters, "clusters of samples")
    if units < LEAST_SAMPLES:
        return f"{units} {noun} have a score, and a gate takes {LEAST_SAMPLES}"
    wide = scores.interval(name, 1 - 2 * ALARMS)
    limit = None if wide is None else wide.low if metric.higher_is_better else wide.high
    if limit is None:
        return "its scores are all alike and have no limit, so nothing says how far a mean may fall"
    repeats = "no repeats are recorded" if noise is None else f"only {noise.samples:,} of them asked again"
    end = f"{1 - 2 * ALARMS:.0%} interval of the mean of {found.samples:,} samples"
    return _proposal(scores, metric, limit, f"the end of the {end}: {repeats}, so its noise isn't known", is_measured=False)


def suggestion(proposed: Mapping[str, SuggestedGate | str], study: Study) -> Suggestion:
    """Return the gates that are proposed by metric, with the damage that they notice by a study."""
    gates = {metric: _beside_damage(gate, study) for metric, gate in proposed.items() if not isinstance(gate, str)}
    return Suggestion(
        tuple(gates.values()),
        {metric: reason for metric, reason in proposed.items() if isinstance(reason, str)},
        tuple(it.operator for it in study.applicable),
        study.noticed_at,
        smallest_set({metric: gate.noticed for metric, gate in gates.items()}),
    )


def smallest_set(noticed: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Return the fewest metrics with gates that notice all that any gate notices; of equal sets the first by the suite."""
    found = {metric: set(operators) for metric, operators in noticed.items()}
    everything = set[str]().union(*found.values())
    sets = (chosen for size in range(len(found) + 1) for chosen in combinations(found, size))
    return next(chosen for chosen in sets if set[str]().union(*(found[metric] for metric in chosen)) == everything)


def _proposal(scores: ModelScores, metric: Metric, exact: float, ground: str, *, is_measured: bool) -> SuggestedGate | str:
    """Return a gate with few decimals, rounded to the looser side; not at the metric's limit: no mean falls under that."""
    unit: int = 10**metric.decimals
    limit = (math.floor if metric.higher_is_better else math.ceil)(exact * unit) / unit
    worst = metric.bounds[0 if metric.higher_is_better else 1]
    if worst is not None and (limit <= worst if metric.higher_is_better else limit >= worst):
        return f"its gate would be {worst:g}, the worst that a mean can be, which nothing fails"
    bound = Bound(GATE, scores.model.suite, scores.model.key, metric.name, limit)
    return SuggestedGate(bound, len(scores.scored(metric.name)), ground, is_measured)


def _beside_damage(gate: SuggestedGate, study: Study) -> SuggestedGate:
    pairs = [(it, one) for it in study.applicable for one in it.noticing if one.bound == gate.bound]
    noticed = tuple(it.operator for it, one in pairs if one.share is not None and one.share <= study.noticed_at)
    missed = [pair for pair in pairs if pair[0].operator not in noticed]
    more = ""
    if missed:
        nearness, operator = max((one.nearness(study.noticed_at), it.operator) for it, one in missed)
        more = "no number of samples makes it notice another"
        if 0 < nearness < math.inf:
            # The way from mean to gate shrinks with the square root of the number of samples.
            needed = max(gate.samples + 1, math.ceil(gate.samples / nearness**2))
            more = f"{so_many(needed, gate.samples)} would make it notice {operator}"
    return msgspec.structs.replace(gate, noticed=noticed, unknown=study.left_out.get(gate.bound, ""), more=more)
