"""Noise: how far a mean moves when the same model is asked the same samples again.

A gate asserts on a fixed set of samples, so which samples were drawn doesn't move it: that is what the 95% interval of
the mean speaks of, and it matters to what is claimed of other texts. What moves a gate from one recording to the next,
though nothing has changed, is the model's own randomness. It is estimated per sample, where n samples asked N times
give n(N-1) degrees of freedom, and not from the N means, which would give N-1:

    sd of a run's mean = sqrt(mean over samples of the variance between a sample's answers / number of samples)

Answers are taken to be independent of each other, given the model. All repeats are asked in one session, so what a
service changes from one day to the next is not in it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from evaltape.scoring import statistics

ONE_IN_100 = 2.326
"""Standard deviations under the mean that one run in 100 falls below."""
TWO_RUNS = 1.960 * math.sqrt(2)
"""Standard deviations that two runs differ by in 1 of 20 cases: the repeatability limit of ISO 5725-6."""


@dataclass(frozen=True, slots=True)
class Noise:
    """The noise of one mean. `runs` is how often samples were asked, at most; `mean` is over all runs."""

    runs: int
    samples: int
    mean: float
    sd: float

    @property
    def smallest_drop(self) -> float:
        """The drop from one recording to the next that is more than noise, with 95% confidence."""
        return TWO_RUNS * self.sd

    @property
    def gate(self) -> float:
        """The gate that a new recording of the unchanged model fails once in 100 times."""
        return self.mean - ONE_IN_100 * self._sd_of_next

    def chance_under(self, gate: float) -> float:
        """How likely a new recording of the unchanged model fails a gate, from 0 to 1."""
        if self.sd == 0:
            return float(self.mean < gate)
        return 0.5 * math.erfc((self.mean - gate) / (self._sd_of_next * math.sqrt(2)))

    def holds_inside(self, gate: float) -> bool:
        """Whether chance decides on a gate: the unchanged model passes and fails it more than once in 100 times."""
        return abs(self.mean - gate) < ONE_IN_100 * self._sd_of_next

    @property
    def _sd_of_next(self) -> float:
        """The spread of a new run around the mean of those known, which is itself not exact."""
        return self.sd * math.sqrt(1 + 1 / self.runs)


def noise_of(answers: Sequence[Sequence[float]]) -> Noise | None:
    """The noise in the scores of each sample's answers; None where no sample was answered twice."""
    again = [scores for scores in answers if len(scores) > 1]
    if not again:
        return None
    means = [statistics.mean(scores) for scores in again]
    variances = [
        math.fsum((score - mean) ** 2 for score in scores) / (len(scores) - 1)
        for scores, mean in zip(again, means, strict=True)
    ]
    sd = math.sqrt(statistics.mean(variances) / len(again))
    return Noise(max(map(len, again)), len(again), statistics.mean(means), sd)
