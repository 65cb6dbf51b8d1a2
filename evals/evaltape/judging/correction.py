"""Means corrected for a judge's errors, which people's labels show.

Two ways, by the labelled answers. Labels of some of these very answers: prediction-powered inference, tuned to be no wider
than the labels alone. The mean is `weight * mean(verdicts without a label) + mean(label - weight * verdict)`: two means of
answers that are independent of each other, so `scoring.statistics` gives their intervals. Labels of other answers: the
judge's sensitivity and specificity there, by Rogan and Gladen, with the uncertainty of both counted.

Differences of two models are corrected as pairs: by the labels of both answers to one sample, or by dividing the verdicts'
difference by the same sensitivity + specificity - 1.

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

LEAST_LABELS = 20
"""With fewer labels nothing is corrected: simulated, an end then misses the true mean in 8% of cases instead of 2.5%."""
LEAST_OF_A_CLASS = 10
"""Of answers that people call true, and of answers that they call false, for sensitivity and specificity."""
LEAST_INFORMED = 0.1
"""Sensitivity + specificity - 1 from which Rogan and Gladen's correction means anything; a judge that guesses has 0."""


class Corrected(msgspec.Struct, frozen=True):
    """A mean that is corrected for a judge's errors, with its interval."""

    mean: float
    low: float | None
    high: float | None
    labels: int
    """How many labelled answers it rests on."""
    method: str
    """`labels of these answers` or `labels of other answers`."""
    weight: float = 1.0
    """How much the judge's verdicts count beside the labels, from 0 to 1."""
    is_alike: bool = False
    """Whether everything that it is the mean of is equal."""


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


class NotCorrected(Exception):
    """Labels can't correct a mean; the message is the reason, fit to be shown."""


THESE, OTHERS = "labels of these answers", "labels of other answers"


def by_these(
    labelled: Sequence[tuple[float, float]],
    unlabelled: Sequence[float],
    chosen: Sequence[float] = (),
    *,
    tail: float = 0.025,
    limits: tuple[float, float] = (0.0, 1.0),
    clusters: tuple[Sequence[Hashable], Sequence[Hashable]] | None = None,
    most_widened: float = MOST_WIDENED,
) -> Corrected:
    """Return the mean that labels would have on all answers, by prediction-powered inference.

    `labelled` are (verdict, label), of differences if two models are compared; `unlabelled` the verdicts on all other
    answers; `chosen` the labels of answers that were picked for their verdict, which stand for themselves alone; `tail` is
    the probability that the true mean lies beyond either end; `clusters` label the first two.

    Raises `NotCorrected` for too few labels.
    """
    if len(labelled) < LEAST_LABELS:
        raise NotCorrected(f"{len(labelled)} of its answers have a label; it takes {LEAST_LABELS}")
    of_labelled, of_others = clusters or (None, None)
    weight = _weight(labelled, unlabelled)
    rest = _less_one(estimate_mean([label - weight * verdict for verdict, label in labelled], of_labelled))
    if not unlabelled or weight == 0:
        parts = [rest]
    else:
        parts = [rest, estimate_mean([weight * verdict for verdict in unlabelled], of_others)]
    total = _beside(_sum(parts), len(labelled) + len(unlabelled), chosen)
    low, high = cut(total.ends(tail, most_widened, limits), limits)
    labels = len(labelled) + len(chosen)
    return Corrected(max(limits[0], min(limits[1], total.mean)), low, high, labels, THESE, weight, total.is_alike)


def by_others(verdicts: Sequence[float], errors: Errors, *, tail: float = 0.025) -> Corrected:
    """Return the share of true answers, by the judge's sensitivity and specificity on other answers.

    `verdicts` are 0 or 1, independent of each other. Raises `NotCorrected` for too few labels of a class, and for a judge that
    hardly does better than guessing.
    """
    _check(errors)
    count, z = len(verdicts), normal_quantile(1 - tail)
    plain = _corrected(mean(verdicts), errors.sensitive / errors.true, errors.specific / errors.false)
    size, true, false = count + z * z, errors.true + 2, errors.false + 2
    said = (math.fsum(verdicts) + z * z / 2) / size
    sensitivity, specificity = (errors.sensitive + 1) / true, (errors.specific + 1) / false
    centre = _corrected(said, sensitivity, specificity)
    of_true, of_false = sensitivity * (1 - sensitivity) / true, specificity * (1 - specificity) / false
    variance = said * (1 - said) / size + centre**2 * of_true + (1 - centre) ** 2 * of_false
    reach = z * math.sqrt(variance) / (sensitivity + specificity - 1)
    centre += 2 * z * z * (centre * of_true - (1 - centre) * of_false)
    low, high = (max(0.0, min(1.0, end)) for end in (centre - reach, centre + reach))
    return Corrected(max(0.0, min(1.0, plain)), low, high, errors.true + errors.false, OTHERS)


def difference_by_others(
    differences: Sequence[float],
    errors: Errors,
    *,
    tail: float = 0.05,
    clusters: Sequence[Hashable] | None = None,
    most_widened: float = MOST_WIDENED,
) -> Corrected:
    """Return the difference of two models' shares of true answers, from the paired differences of their verdicts.

    The judge's errors are taken to be the same on both models' answers. Raises as `by_others`.
    """
    _check(errors)
    true, false = errors.true + 2, errors.false + 2
    sensitivity, specificity = (errors.sensitive + 1) / true, (errors.specific + 1) / false
    informed = sensitivity + specificity - 1
    said = estimate_mean(differences, clusters)
    quantile = normal_quantile(1 - tail)
    plain = said.mean / (errors.sensitive / errors.true + errors.specific / errors.false - 1)
    spread = sensitivity * (1 - sensitivity) / true + specificity * (1 - specificity) / false
    low, high = said.ends(tail, most_widened, (-1.0, 1.0))
    of_errors = quantile * abs(said.mean) / informed**2 * math.sqrt(spread)
    centre = said.mean / informed
    low = max(-1.0, centre - math.hypot((said.mean - low) / informed, of_errors))
    high = min(1.0, centre + math.hypot((high - said.mean) / informed, of_errors))
    labels = errors.true + errors.false
    return Corrected(max(-1.0, min(1.0, plain)), low, high, labels, OTHERS, is_alike=said.is_alike)


def count_errors(rated: Sequence[tuple[float, Sequence[float]]]) -> Errors:
    """Count how often a judge was right: (verdict, labels) of each labelled answer. Labels between 0 and 1 don't count."""
    pairs = [(label, verdict) for verdict, labels in rated for label in labels]
    return Errors(
        true=sum(label == 1 for label, _ in pairs),
        sensitive=sum(label == verdict == 1 for label, verdict in pairs),
        false=sum(label == 0 for label, _ in pairs),
        specific=sum(label == verdict == 0 for label, verdict in pairs),
    )


def _check(errors: Errors) -> None:
    few = [name for name, count in (("true", errors.true), ("false", errors.false)) if count < LEAST_OF_A_CLASS]
    if few:
        found = f"{errors.true} labels are true and {errors.false} are false"
        raise NotCorrected(f"{found}; it takes {LEAST_OF_A_CLASS} of each")
    informed = errors.sensitive / errors.true + errors.specific / errors.false - 1
    if informed < LEAST_INFORMED:
        raise NotCorrected(
            f"the judge hardly does better than guessing (sensitivity {errors.sensitive / errors.true:.2f}, "
            f"specificity {errors.specific / errors.false:.2f})"
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
    """Return the estimate with a degree of freedom less: the weight's, which was chosen to make it small."""
    if rest.units <= 2:
        return rest
    error = rest.error * math.sqrt((rest.units - 1) / (rest.units - 2))
    return MeanEstimate(rest.mean, rest.clusters, rest.units - 1, error, rest.skewness)


def _beside(others: MeanEstimate, count: int, chosen: Sequence[float]) -> MeanEstimate:
    """Return the mean of both strata: the answers that were chosen, and all `count` others."""
    if not chosen:
        return others
    share = len(chosen) / (len(chosen) + count)
    return _sum([_scaled(others, 1 - share), _scaled(estimate_mean(chosen), share)])


def _scaled(estimate: MeanEstimate, share: float) -> MeanEstimate:
    return MeanEstimate(estimate.mean * share, estimate.clusters, estimate.units, estimate.error * share, estimate.skewness)


def _sum(parts: Sequence[MeanEstimate]) -> MeanEstimate:
    """Return the sum of independent means: its degrees of freedom are Satterthwaite's, third moments add up."""
    if len(parts) == 1:
        return parts[0]
    error = math.hypot(*(part.error for part in parts))
    if error == 0:
        return MeanEstimate(math.fsum(part.mean for part in parts), parts[0].clusters, parts[0].units, 0.0, 0.0)
    freedom = error**4 / math.fsum(part.error**4 / (part.units - 1) for part in parts if part.error)
    return MeanEstimate(
        mean=math.fsum(part.mean for part in parts),
        clusters=sum(part.clusters for part in parts),
        units=freedom + 1,
        error=error,
        skewness=math.fsum(part.skewness * part.error**3 for part in parts) / error**3,
    )
