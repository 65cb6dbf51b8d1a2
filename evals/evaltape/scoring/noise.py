"""Noise: how far a mean moves when the same model is asked the same samples again.

A gate asserts on a fixed set of samples. So the draw of the samples doesn't move it: the 95% interval of the mean is about
this draw, and matters to claims about other texts. Between recordings of an unchanged model the model's own randomness moves
a gate. It is estimated per sample, which gives n(N-1) degrees of freedom for n samples asked N times; the N means would give
N-1:

    sd of a run's mean = sqrt(mean over samples of the variance between a sample's answers / number of samples)

Samples differ in their noise (most answers of a model at a low temperature never change), so fewer degrees of freedom count,
by Welch and Satterthwaite. Answers of a model are taken to be independent of each other. All repeats belong to a single
session: a service's changes from day to day are left out.

If no repeat differed the estimate is 0, but answers may still differ now and then: `Noise._unseen_chance`.

Source: F. E. Satterthwaite, An approximate distribution of estimates of variance components, Biometrics Bulletin 2 (1946),
110-114.
"""

import math
from collections.abc import Sequence

import msgspec

from evaltape.metrics.scorers import UNLIMITED, Limits
from evaltape.scoring.statistics import mean
from evaltape.scoring.student_t import t_quantile, upper_tail

ALARMS = 0.01
"""How often a new recording of the unchanged model may fail the suggested gate."""
CHANCE_OF_DROP = 0.05
"""How often two recordings of an unchanged model may differ by more than the smallest drop, up or down."""
LEAST_SAMPLES, LEAST_SHARE = 20, 0.5
"""Asked repeatedly, to judge a gate by: simulated, the suggested gate fails up to 8% of the time with 10 samples."""
MOST_CHANGES = 40
"""The most changes that are considered."""
RATES_PER_CHANGE = 20
"""Steps of the average number of changes that are tried."""
ROUNDING = 1e-9
LEAST_ALIKE_SAMPLES = 50
"""Asked repeatedly if every answer scored the same each time: 1 sample in 10 that varies is missed by 20 in 12% of cases."""


class Noise(msgspec.Struct, frozen=True):
    """The noise of the mean of all samples, estimated from the repeatedly answered samples."""

    runs: int
    """How often a sample was answered, at most."""
    samples: int
    """How many samples were answered repeatedly."""
    of: int
    """How many samples were answered."""
    mean: float
    """Over all samples, of each its mean over all its answers."""
    sd: float
    """The standard deviation of a run's mean over all samples."""
    sd_of_next: float
    """The standard deviation of a new run's mean around `mean`, which has an error itself."""
    freedom: float
    """The degrees of freedom of both standard deviations."""
    higher_is_better: bool = True
    """Of the metric: if not, a gate is an upper bound, and a drop is a rise."""
    repeats: int = 0
    """How many answers beyond the first there are to all samples."""
    most_lost: float = 0.0
    """The most that a sample can lose: down to the metric's limit, or to the worst score seen."""

    @property
    def is_enough(self) -> bool:
        """Whether enough samples were asked repeatedly to judge a gate."""
        least = LEAST_SAMPLES if self.sd > 0 else LEAST_ALIKE_SAMPLES
        return self.samples >= least and self.samples >= LEAST_SHARE * self.of

    @property
    def smallest_drop(self) -> float | None:
        """The smallest drop between two recordings that is more than noise, with 95% confidence; None if not enough."""
        if not self.is_enough:
            return None
        if self.sd == 0:
            return self._unseen_margin(CHANCE_OF_DROP / 2)
        return t_quantile(1 - CHANCE_OF_DROP / 2, self.freedom) * math.sqrt(2) * self.sd

    @property
    def gate(self) -> float | None:
        """The gate that a new recording of the unchanged model fails at most once in 100 times; None if not enough."""
        if not self.is_enough:
            return None
        return self.mean - self.margin if self.higher_is_better else self.mean + self.margin

    def chance_to_fail(self, gate: float) -> float | None:
        """Return how likely a new recording of the unchanged model fails a gate, from 0 to 1; None if not enough.

        Without a varying repeat it is the greatest chance that the repeats leave open.
        """
        if not self.is_enough:
            return None
        spare = self.mean - gate if self.higher_is_better else gate - self.mean
        if self.sd == 0:
            if spare < 0:
                return 1.0
            # So many samples may lose the most they can before the mean falls by more than `spare`.
            changes = math.floor(spare * self.of / self.most_lost + ROUNDING) if self.most_lost > 0 else MOST_CHANGES
            return self._unseen_chance(changes)
        return upper_tail(spare / self.sd_of_next, self.freedom)

    def holds_inside(self, gate: float) -> bool | None:
        """Return whether chance decides a gate: the unchanged model passes and fails it more than once in 100 recordings.

        None if not enough.
        """
        return abs(self.mean - gate) < self.margin if self.is_enough else None

    @property
    def margin(self) -> float:
        """How far a new mean may fall in 1 of 100 recordings of the unchanged model."""
        return t_quantile(1 - ALARMS, self.freedom) * self.sd_of_next if self.sd > 0 else self._unseen_margin(ALARMS)

    def _unseen_margin(self, chance: float) -> float:
        """Return how far a new mean may fall with probability `chance`, though no repeat varied."""
        changes = next(number for number in range(MOST_CHANGES) if self._unseen_chance(number) <= chance)
        return changes * self.most_lost / self.of

    def _unseen_chance(self, changes: int) -> float:
        """Return the greatest chance that more samples than these change for the worse after repeats that all agreed.

        If `rate` samples of a recording change on average, the repeats agree with probability exp(-rate * repeats / of), and
        half of the changes are for the worse.
        """
        if changes >= MOST_CHANGES:
            return 0.0
        seen = self.repeats / self.of
        rates = (step / RATES_PER_CHANGE for step in range(1, RATES_PER_CHANGE * MOST_CHANGES))
        return max(math.exp(-rate * seen) * _more_than(changes, rate / 2) for rate in rates)


def noise_of(answers: Sequence[Sequence[float]], higher_is_better: bool = True, limits: Limits = UNLIMITED) -> Noise | None:
    """Return the noise in the scores of each sample's answers; None if no sample was answered twice.

    `answers` holds all answered samples of the model: samples with one answer count for the mean. `limits` are the metric's.
    """
    repeated = [scores for scores in answers if len(scores) > 1]
    if not repeated:
        return None
    variances = [_variance(scores) for scores in repeated]
    per_sample, all_scores = mean(variances), [score for scores in answers for score in scores]
    seen = min(all_scores), max(all_scores)
    least, most = (end if limit is None else limit for limit, end in zip(limits, seen, strict=True))
    inverse_runs = mean([1 / len(scores) for scores in answers])
    return Noise(
        runs=max(map(len, repeated)),
        samples=len(repeated),
        of=len(answers),
        mean=mean([mean(scores) for scores in answers]),
        sd=math.sqrt(per_sample / len(answers)),
        sd_of_next=math.sqrt(per_sample / len(answers) * (1 + inverse_runs)),
        freedom=_freedom(variances, [len(scores) for scores in repeated]),
        higher_is_better=higher_is_better,
        repeats=sum(len(scores) - 1 for scores in answers),
        most_lost=seen[1] - least if higher_is_better else most - seen[0],
    )


def _more_than(count: int, average: float) -> float:
    """Return the probability of more than so many events where so many are the average (Poisson)."""
    return max(0.0, 1 - math.exp(-average) * math.fsum(average**number / math.factorial(number) for number in range(count + 1)))


def _variance(scores: Sequence[float]) -> float:
    if min(scores) == max(scores):
        return 0.0  # exactly: the mean of equal scores may differ from them by rounding
    middle = mean(scores)
    return math.fsum((score - middle) ** 2 for score in scores) / (len(scores) - 1)


def _freedom(variances: Sequence[float], runs: Sequence[int]) -> float:
    """Return the degrees of freedom of a mean of variances; 0 if nothing varies."""
    total = math.fsum(variances)
    squares = math.fsum(variance**2 / (count - 1) for variance, count in zip(variances, runs, strict=True))
    return total**2 / squares if squares > 0 else 0.0
