"""Noise: how far a mean moves when the same model is asked the same samples again.

A gate asserts on a fixed set of samples, so which samples were drawn doesn't move it: the 95% interval of the mean is about
that, and it matters to what is claimed of other texts. What moves a gate from one recording to the next, though nothing
has changed, is the model's own randomness. It is estimated per sample, where n samples asked N times give n(N-1) degrees
of freedom, and not from the N means, which would give N-1:

    sd of a run's mean = sqrt(mean over samples of the variance between a sample's answers / number of samples)

Samples differ in their noise (most answers of a model at a low temperature don't change at all), so the degrees of freedom
that count are fewer; they are those of Welch and Satterthwaite. Answers are taken to be independent of each other, given
the model. All repeats are asked in one session, so what a service changes from one day to the next is not in it.

Source: F. E. Satterthwaite, An approximate distribution of estimates of variance components, Biometrics Bulletin 2 (1946),
110-114.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from evaltape.scoring.statistics import mean
from evaltape.scoring.student_t import t_quantile, upper_tail

ALARMS = 0.01
"""How often a new recording of the unchanged model may fail the suggested gate."""
CHANCE_OF_DROP = 0.05
"""How often two recordings of an unchanged model may differ by more than the smallest drop, up or down."""
LEAST_SAMPLES, LEAST_SHARE = 20, 0.5
"""Asked repeatedly, to judge a gate by: simulated, the suggested gate fails up to 8% of the time with 10 samples."""
LEAST_ALIKE_SAMPLES = 50
"""Asked repeatedly if every answer scored the same each time: 1 sample in 10 that varies is missed by 20 in 12% of cases."""


@dataclass(frozen=True, slots=True)
class Noise:
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

    @property
    def is_enough(self) -> bool:
        """Whether so many samples were asked repeatedly that a gate can be judged."""
        least = LEAST_SAMPLES if self.sd > 0 else LEAST_ALIKE_SAMPLES
        return self.samples >= least and self.samples >= LEAST_SHARE * self.of

    @property
    def smallest_drop(self) -> float | None:
        """The drop from one recording to the next that is more than noise, with 95% confidence; None if not enough."""
        if self.sd == 0 or not self.is_enough:
            return 0.0 if self.is_enough else None
        return t_quantile(1 - CHANCE_OF_DROP / 2, self.freedom) * math.sqrt(2) * self.sd

    @property
    def gate(self) -> float | None:
        """The gate that a new recording of the unchanged model fails at most once in 100 times; None if not enough."""
        if not self.is_enough:
            return None
        return self.mean - self._margin if self.higher_is_better else self.mean + self._margin

    def chance_to_fail(self, gate: float) -> float | None:
        """Return how likely a new recording of the unchanged model fails a gate, from 0 to 1; None if not enough."""
        if not self.is_enough:
            return None
        spare = self.mean - gate if self.higher_is_better else gate - self.mean
        if self.sd == 0:
            return float(spare < 0)
        return upper_tail(spare / self.sd_of_next, self.freedom)

    def holds_inside(self, gate: float) -> bool | None:
        """Return whether chance decides on a gate: the unchanged model passes and fails it over once in 100 times.

        None if not enough.
        """
        return abs(self.mean - gate) < self._margin if self.is_enough else None

    @property
    def _margin(self) -> float:
        return t_quantile(1 - ALARMS, self.freedom) * self.sd_of_next if self.sd > 0 else 0.0


def noise_of(answers: Sequence[Sequence[float]], higher_is_better: bool = True) -> Noise | None:
    """Return the noise in the scores of each sample's answers; None if no sample was answered twice.

    `answers` holds every answered sample of the model, those answered once too: the mean is of all.
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
    )


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
