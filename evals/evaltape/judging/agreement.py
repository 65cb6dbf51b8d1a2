"""How well two raters agree: Cohen's kappa with a 95% interval, and the shares that explain it.

Kappa is 1 - D / E: D is the mean squared distance of the two ratings of an answer, E the same distance if one rater's ratings
were shuffled. For true and false that is Cohen's kappa, on a scale his weighted kappa with quadratic weights. Its interval is
the interval of the mean of its influence values (the delta method): clusters and few answers widen it as any mean's.

Sources: J. Cohen, A coefficient of agreement for nominal scales, Educational and Psychological Measurement 20 (1960), 37-46;
J. Cohen, Weighted kappa, Psychological Bulletin 70 (1968), 213-220; E. B. Wilson, as in `scoring.statistics`.
"""

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import permutations

import msgspec

from evaltape.scoring.statistics import Interval, interval, wilson
from evaltape.scoring.student_t import normal_quantile

TAIL = 0.025
"""Beyond either end of a 95% interval."""
Pair = tuple[float, float]
"""A person's rating of an answer and the judge's (or another person's), each in 0..1."""


class Agreement(msgspec.Struct, frozen=True):
    """How well a judge's verdicts agree with people's labels."""

    labels: int
    """How many labels are compared; an answer with labels by two people counts twice."""
    answers: int
    """How many answers have these labels."""
    kappa: Interval | None
    """Cohen's kappa with its 95% interval; None if all ratings are equal, which says nothing."""
    agreed: float
    """The share of labels that the verdict equals."""
    commonest: float
    """The share that a judge would reach by always giving the commonest label."""
    sensitivity: Interval | None
    """Of the answers that people call true, the share that the judge does; None on a scale, and without such labels."""
    specificity: Interval | None
    """Of the answers that people call false, the share that the judge does; None likewise."""
    confusion: dict[Pair, int]
    """How many labels by (label, verdict)."""
    people: Interval | None = None
    """The agreement of people with each other, on the answers with several labels; None without such answers."""


def kappa(pairs: Sequence[Pair], clusters: Sequence[Hashable] | None = None) -> Interval | None:
    """Return kappa of some pairs of ratings; `clusters` has the sample of each pair. None if all ratings are equal.

    >>> kappa([(1, 1), (1, 1), (0, 0), (0, 1)]).mean
    0.5
    """
    count = len(pairs)
    one, other = (math.fsum(pair[side] for pair in pairs) / count for side in (0, 1))
    apart = math.fsum((x - y) ** 2 for x, y in pairs) / count
    by_chance = math.fsum((x - one) ** 2 + (y - other) ** 2 for x, y in pairs) / count + (one - other) ** 2
    if by_chance < 1e-12:
        return None
    value = 1 - apart / by_chance
    if apart == 0:
        return Interval(value, _unseen(count if clusters is None else len(set(clusters)), by_chance), 1.0)
    influences = [_influence(pair, (one, other), apart, by_chance) for pair in pairs]
    found = interval([value + each for each in influences], clusters=clusters, limits=(-1.0, 1.0))
    return Interval(value, found.low, found.high, count)


def agree(rated: Sequence[tuple[str, float, Sequence[float]]], *, is_scale: bool = False) -> Agreement | None:
    """Compare a judge's verdicts with people's labels: (sample, verdict, labels of that answer). None without any label."""
    pairs = [(label, verdict) for _, verdict, labels in rated for label in labels]
    samples = [sample for sample, _, labels in rated for _ in labels]
    if not pairs:
        return None
    clusters = samples if len(set(samples)) < len(samples) else None
    between = [(pair, sample) for sample, _, labels in rated for pair in permutations(labels, 2)]
    people = kappa([pair for pair, _ in between], [sample for _, sample in between]) if between else None
    shares = [None, None] if is_scale else [_share(pairs, truth, clusters) for truth in (1.0, 0.0)]
    return Agreement(
        labels=len(pairs),
        answers=len(rated),
        kappa=kappa(pairs, clusters),
        agreed=sum(label == verdict for label, verdict in pairs) / len(pairs),
        commonest=max(Counter(label for label, _ in pairs).values()) / len(pairs),
        sensitivity=shares[0],
        specificity=shares[1],
        confusion=dict(sorted(Counter(pairs).items())),
        people=people,
    )


def share(ones: int, count: int) -> Interval:
    """Return a share with Wilson's 95% interval; `count` is over 0."""
    low, high = wilson(ones, count, TAIL)
    return Interval(ones / count, low, high, count)


def labels_needed(bound: float, observed: float) -> int | None:
    """Return how many labels of a class put the lower end of Wilson's interval at a bound; None if no number does.

    >>> labels_needed(0.80, 0.90)
    62
    """
    if observed <= bound:
        return None
    # Wilson's end is the share that the score test just accepts.
    quantile = normal_quantile(1 - TAIL)
    return math.ceil(quantile**2 * bound * (1 - bound) / (observed - bound) ** 2)


def flips(verdicts: Sequence[Sequence[float]]) -> float | None:
    """Return how often two verdicts on an answer differ: the mean of the share of such pairs, over answers with several."""
    repeated = [each for each in verdicts if len(each) > 1]
    if not repeated:
        return None
    return math.fsum(_differing(each) for each in repeated) / len(repeated)


def _differing(verdicts: Sequence[float]) -> float:
    pairs = len(verdicts) * (len(verdicts) - 1)
    same: int = sum(count * (count - 1) for count in Counter(verdicts).values())
    return 1 - same / pairs


def _influence(pair: Pair, means: Pair, apart: float, by_chance: float) -> float:
    (x, y), (one, other) = pair, means
    # The change of E by another pair like this: its means move, too.
    chance = (x - one) ** 2 + (y - other) ** 2 + (one - other) ** 2 + 2 * (one - other) * ((x - one) - (y - other)) - by_chance
    return apart * chance / (by_chance * by_chance) - ((x - y) * (x - y) - apart) / by_chance


def _unseen(units: int, by_chance: float) -> float:
    """Return the lower end where all pairs agree: a share of pairs that a sample of this size may miss would disagree."""
    unseen: float = 1 - TAIL ** (1 / units)
    return max(-1.0, 1 - unseen / by_chance)


def _share(pairs: Sequence[Pair], truth: float, clusters: Sequence[Hashable] | None) -> Interval | None:
    places = [place for place, (label, _) in enumerate(pairs) if label == truth]
    if not places:
        return None
    right = [float(pairs[place][1] == truth) for place in places]
    within = None if clusters is None else [clusters[place] for place in places]
    if within is not None and len(set(within)) == len(within):
        within = None
    return interval(right, clusters=within, limits=(0.0, 1.0))
