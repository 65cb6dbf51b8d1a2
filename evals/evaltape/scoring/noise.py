"""Noise: how far a mean moves when the same model is asked the same samples again.

A gate asserts on a fixed set of samples, so which samples were drawn doesn't move it: the 95% interval of the mean is about
that, and it matters to what is claimed of other texts. What moves a gate from one recording to the next, though nothing
has changed, is the model's own randomness. It is estimated per sample, where n samples asked N times give n(N-1) degrees
of freedom, and not from the N means, which would give N-1:

    sd of a run's mean = sqrt(mean over samples of the variance between a sample's answers / number of samples)

Samples differ in their noise (most answers of a model at a low temperature don't change at all), so the degrees of freedom
that count are fewer; they are those of Welch and Satterthwaite. Answers are taken to be independent of each other, given
the model. All repeats are asked in one session, so changes of a service from one day to the next are not in it.

Where no repeat differed the estimate is 0, but answers may still differ now and then: for every rate of that which the repeats
leave open, so many samples of a new recording change for the worse in at most 1 case of 100, and each loses at most all it has.

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
"""No more changes than these are looked at."""
RATES_PER_CHANGE = 20
"""How finely the average number of changes is tried."""
ROUNDING = 1e-9
LEAST_ALIKE_SAMPLES = 50
"""Asked repeatedly if every answer scored the same each time: 1 sample in 10 that varies is missed by 20 in 12% of cases."""


class Noise(msgspec.Struct, frozen=True):
    """The noise of one mean: that of all samples, estimated from those that were answered repeatedly."""

    runs: int
    """How often a sample was answered, at most."""
    samples: int
    """How many samples were answered repeatedly."""
    of: int
    """How many samples were answered."""
    mean: float
    """Over all samples, of each its mean over all its answers."""
    sd: float
    """The standard deviation of the mean of one run over all samples."""
    sd_of_next: float
    """The standard deviation of a new run's mean around `mean`, which isn't exact either."""
    freedom: float
    """The degrees of freedom of both standard deviations."""
    higher_is_better: bool = True
    """Of the metric: if not, a gate is an upper bound, and a drop is a rise."""
    repeats: int = 0
    """How many answers beyond the first there are to all samples."""
    most_lost: float = 0.0
    """The most that one sample can become worse by: to the metric's limit, or to the worst score seen."""

    @property
    def is_enough(self) -> bool:
        """Whether so many samples were asked repeatedly that a gate can be judged."""
        least = LEAST_SAMPLES if self.sd > 0 else LEAST_ALIKE_SAMPLES
        return self.samples >= least and self.samples >= LEAST_SHARE * self.of

    @property
    def smallest_drop(self) -> float | None:
        """The drop from one recording to the next that is more than noise, with 95% confidence; None if not enough."""
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

        Where no repeat varied that is the most that the repeats leave open.
        """
        if not self.is_enough:
            return None
        spare = self.mean - gate if self.higher_is_better else gate - self.mean
        if self.sd == 0:
            return 1.0 if spare < 0 else self._unseen_chance(self._changes_in(spare))
        return upper_tail(spare / self.sd_of_next, self.freedom)

    def holds_inside(self, gate: float) -> bool | None:
        """Return whether chance decides on a gate: the unchanged model passes and fails it over once in 100 times.

        None if not enough.
        """
        return abs(self.mean - gate) < self.margin if self.is_enough else None

    @property
    def margin(self) -> float:
        """How far a new mean may fall in 1 of 100 recordings of the unchanged model."""
        return t_quantile(1 - ALARMS, self.freedom) * self.sd_of_next if self.sd > 0 else self._unseen_margin(ALARMS)

    def _unseen_margin(self, chance: float) -> float:
        """Return how far a new mean may fall, but for `chance`, though no repeat varied."""
        changes = next(number for number in range(MOST_CHANGES) if self._unseen_chance(number) <= chance)
        return changes * self.most_lost / self.of

    def _changes_in(self, spare: float) -> int:
        """Return how many samples may lose the most they can before the mean falls by more than `spare`."""
        if self.most_lost <= 0:
            return MOST_CHANGES
        return min(MOST_CHANGES, math.floor(spare * self.of / self.most_lost + ROUNDING))

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

    `answers` holds every answered sample of the model, those answered once too: the mean is of all. `limits` are the metric's.
    """
    repeated = [scores for scores in answers if len(scores) > 1]
    if not repeated:
        return None
    variances = [_variance(scores) for scores in repeated]
    per_sample = mean(variances)
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
        most_lost=_most_lost([score for scores in answers for score in scores], higher_is_better, limits),
    )


def _most_lost(scores: Sequence[float], higher_is_better: bool, limits: Limits) -> float:
    least, most = (seen if limit is None else limit for limit, seen in zip(limits, (min(scores), max(scores)), strict=True))
    return max(scores) - least if higher_is_better else most - min(scores)


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
