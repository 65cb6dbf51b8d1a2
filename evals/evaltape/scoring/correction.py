"""Means corrected for a judge's errors, which people's labels show.

With labels of some of these very answers: prediction-powered inference, tuned to be no wider than the labels alone. The mean is
`weight * mean(verdicts without a label) + mean(label - weight * verdict)`: two means of answers that are independent of each
other. With labels of other answers: the judge's sensitivity and specificity there, by Rogan and Gladen, with the uncertainty of
both counted. Differences of two models are corrected as pairs: by the labels of both answers to one sample, or by dividing the
verdicts' difference by the same sensitivity + specificity - 1.

Sources: A. N. Angelopoulos, J. C. Duchi and T. Zrnic, PPI++: efficient prediction-powered inference, arXiv 2311.01453 (2023);
W. J. Rogan and B. Gladen, Estimating prevalence from the results of a screening test, American Journal of Epidemiology 107
(1978), 71-76; C. Lee, T. Zeng, J. Jeong, J. Sohn and K. Lee, How to correctly report LLM-as-a-judge evaluations, PMLR v306;
A. Agresti and B. A. Coull, Approximate is better than "exact" for interval estimation of binomial proportions, The American
Statistician 52 (1998), 119-126; F. E. Satterthwaite, Biometrics Bulletin 2 (1946), 110-114.
"""

import math
from collections.abc import Hashable, Sequence

import msgspec

from evaltape.scoring.statistics import MOST_WIDENED, MeanEstimate, cut, estimate_mean, mean
from evaltape.scoring.student_t import normal_quantile
from evaltape.text import counted

LEAST_LABELS = 20
"""With fewer labels nothing is corrected: simulated, an end then misses the true mean in 8% of cases instead of 2.5%."""
LEAST_OF_A_CLASS = 10
"""Of answers that people call true, and of answers that they call false, for sensitivity and specificity."""
LEAST_INFORMED = 0.1
"""The least sensitivity + specificity - 1 for Rogan and Gladen's correction; a judge that guesses has 0."""
Row = tuple[float, float | None, float | None]
"""A verdict on an answer, its label if it was drawn, and its label if it was chosen for its verdict: then it stands for itself
alone. Of two models the differences of these."""


class Corrected(msgspec.Struct, frozen=True):
    """A mean that is corrected for a judge's errors, with its interval."""

    mean: float
    low: float | None
    high: float | None
    note: str
    """By how many labels, and of which answers."""
    weight: float = 1.0
    """How much the judge's verdicts count beside the labels, from 0 to 1."""
    is_alike: bool = False
    """Whether it is a mean of equal numbers."""


class Errors(msgspec.Struct, frozen=True):
    """How often a judge that says true or false was right on labelled answers."""

    true: int
    """How many answers people call true."""
    sensitive: int
    """How many of them the judge does, too."""
    false: int
    """How many answers people call false."""
    specific: int
    """How many of them the judge does, too."""

    @property
    def note(self) -> str:
        """By how many labels of which answers they correct."""
        return f"corrected by the judge's errors on {counted(self.true + self.false, 'label')} of other answers"

    @property
    def shares(self) -> tuple[float, float]:
        """Sensitivity and specificity. Raises `NotCorrected` for too few labels, and for a judge that hardly beats guessing."""
        if min(self.true, self.false) < LEAST_OF_A_CLASS:
            found = f"{self.true} labels are true and {self.false} are false"
            raise NotCorrected(f"{found}; it takes {LEAST_OF_A_CLASS} of each")
        sensitivity, specificity = self.sensitive / self.true, self.specific / self.false
        if sensitivity + specificity - 1 < LEAST_INFORMED:
            told = f"(sensitivity {sensitivity:.2f}, specificity {specificity:.2f})"
            raise NotCorrected(f"the judge hardly does better than guessing {told}")
        return sensitivity, specificity

    @property
    def adjusted(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Sensitivity and specificity with two answers more of each class, each with its variance."""
        true, false = self.true + 2, self.false + 2
        sensitivity, specificity = (self.sensitive + 1) / true, (self.specific + 1) / false
        variances = sensitivity * (1 - sensitivity) / true, specificity * (1 - specificity) / false
        return (sensitivity, specificity), variances


class NotCorrected(Exception):
    """Labels can't correct a mean; the message shows the reason."""


def by_these(
    rows: Sequence[Row],
    clusters: Sequence[Hashable] | None = None,
    *,
    tail: float = 0.025,
    limits: tuple[float, float] = (0.0, 1.0),
    most_widened: float = MOST_WIDENED,
) -> Corrected:
    """Return the mean that labels would have on all answers, by prediction-powered inference.

    `tail` is the probability that the true mean lies beyond either end; `clusters` has a label for each row. Raises
    `NotCorrected` for too few labels.
    """
    of_rows = [None] * len(rows) if clusters is None else clusters
    labelled = [(verdict, label, of) for (verdict, label, _), of in zip(rows, of_rows, strict=True) if label is not None]
    others = [(verdict, of) for (verdict, *labels), of in zip(rows, of_rows, strict=True) if labels == [None, None]]
    chosen = [label for _, drawn, label in rows if drawn is None and label is not None]
    if len(labelled) < LEAST_LABELS:
        raise NotCorrected(f"{len(labelled)} of its answers have a label; it takes {LEAST_LABELS}")
    of_labelled, of_others = (None if clusters is None else [row[-1] for row in each] for each in (labelled, others))
    weight = _weight([(verdict, label) for verdict, label, _ in labelled], [verdict for verdict, _ in others])
    rest = _less_one(estimate_mean([label - weight * verdict for verdict, label, _ in labelled], of_labelled))
    if weight:  # It is 0 without unlabelled answers.
        rest = _sum(rest, estimate_mean([weight * verdict for verdict, _ in others], of_others))
    total = _beside(rest, len(labelled) + len(others), chosen)
    low, high = cut(total.ends(tail, most_widened, limits), limits)
    note = f"corrected by {counted(len(labelled) + len(chosen), 'label')} of these answers"
    return Corrected(max(limits[0], min(limits[1], total.mean)), low, high, note, weight, total.is_alike)


def by_others(verdicts: Sequence[float], errors: Errors) -> Corrected:
    """Return the share of true answers with its 95% interval, by the judge's sensitivity and specificity on other answers.

    `verdicts` are 0 or 1, independent of each other. Raises `NotCorrected` as `Errors.shares`.
    """
    z = normal_quantile(0.975)
    plain = _corrected(mean(verdicts), *errors.shares)
    size = len(verdicts) + z * z
    said = (math.fsum(verdicts) + z * z / 2) / size
    (sensitivity, specificity), (of_true, of_false) = errors.adjusted
    centre = _corrected(said, sensitivity, specificity)
    variance = said * (1 - said) / size + centre**2 * of_true + (1 - centre) ** 2 * of_false
    reach = z * math.sqrt(variance) / (sensitivity + specificity - 1)
    centre += 2 * z * z * (centre * of_true - (1 - centre) * of_false)
    low, high = (max(0.0, min(1.0, end)) for end in (centre - reach, centre + reach))
    return Corrected(max(0.0, min(1.0, plain)), low, high, errors.note)


def difference_by_others(
    differences: Sequence[float],
    errors: Errors,
    *,
    tail: float = 0.05,
    clusters: Sequence[Hashable] | None = None,
) -> Corrected:
    """Return the difference of two models' shares of true answers, from the paired differences of their verdicts.

    The judge's errors are taken to be the same on both models' answers. Raises `NotCorrected` as `Errors.shares`.
    """
    shares, variances = errors.adjusted
    informed = sum(shares) - 1
    said = estimate_mean(differences, clusters)
    plain = said.mean / (sum(errors.shares) - 1)
    low, high = said.ends(tail, MOST_WIDENED, (-1.0, 1.0))
    of_errors = normal_quantile(1 - tail) * abs(said.mean) / informed**2 * math.sqrt(sum(variances))
    centre = said.mean / informed
    low = max(-1.0, centre - math.hypot((said.mean - low) / informed, of_errors))
    high = min(1.0, centre + math.hypot((high - said.mean) / informed, of_errors))
    return Corrected(max(-1.0, min(1.0, plain)), low, high, errors.note, is_alike=said.is_alike)


def count_errors(rated: Sequence[tuple[float, Sequence[float]]]) -> Errors:
    """Count how often a judge was right: (verdict, labels) of each labelled answer. Labels between 0 and 1 don't count."""
    pairs = [(label, verdict) for verdict, labels in rated for label in labels]
    return Errors(
        true=sum(label == 1 for label, _ in pairs),
        sensitive=sum(label == verdict == 1 for label, verdict in pairs),
        false=sum(label == 0 for label, _ in pairs),
        specific=sum(label == verdict == 0 for label, verdict in pairs),
    )


def _corrected(said: float, sensitivity: float, specificity: float) -> float:
    return (said + specificity - 1) / (sensitivity + specificity - 1)


def _weight(labelled: Sequence[tuple[float, float]], unlabelled: Sequence[float]) -> float:
    """Return the weight of the verdicts that makes the interval shortest, from 0 to 1."""
    if not unlabelled:
        return 0.0
    verdicts, labels = [verdict for verdict, _ in labelled], [label for _, label in labelled]
    middle, level = mean(verdicts), mean(labels)
    together = math.fsum((verdict - middle) * (label - level) for verdict, label in labelled) / (len(labelled) - 1)
    every = [*verdicts, *unlabelled]
    average = mean(every)
    spread = math.fsum((verdict - average) ** 2 for verdict in every) / (len(every) - 1)
    if spread == 0:
        return 0.0
    return max(0.0, min(1.0, together / ((1 + len(labelled) / len(unlabelled)) * spread)))


def _less_one(rest: MeanEstimate) -> MeanEstimate:
    """Return the estimate with a degree of freedom less: the weight was chosen to make it small."""
    if rest.units <= 2:
        return rest
    error = rest.error * math.sqrt((rest.units - 1) / (rest.units - 2))
    return MeanEstimate(rest.mean, rest.clusters, rest.units - 1, error, rest.skewness)


def _beside(others: MeanEstimate, count: int, chosen: Sequence[float]) -> MeanEstimate:
    """Return the mean of both strata: the answers that were chosen, and all `count` others."""
    if not chosen:
        return others
    share = len(chosen) / (len(chosen) + count)
    return _sum(_scaled(others, 1 - share), _scaled(estimate_mean(chosen), share))


def _scaled(estimate: MeanEstimate, share: float) -> MeanEstimate:
    return MeanEstimate(estimate.mean * share, estimate.clusters, estimate.units, estimate.error * share, estimate.skewness)


def _sum(*parts: MeanEstimate) -> MeanEstimate:
    """Return the sum of independent means: its degrees of freedom are Satterthwaite's, third moments add up."""
    error, total = math.hypot(*(part.error for part in parts)), math.fsum(part.mean for part in parts)
    if error == 0:
        return MeanEstimate(total, parts[0].clusters, parts[0].units, 0.0, 0.0)
    freedom = error**4 / math.fsum(part.error**4 / (part.units - 1) for part in parts if part.error)
    skewness = math.fsum(part.skewness * part.error**3 for part in parts) / error**3
    return MeanEstimate(total, sum(part.clusters for part in parts), freedom + 1, error, skewness)
