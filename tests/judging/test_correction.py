"""Corrected means, against values computed by hand, another implementation, and simulation."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from evaltape.judging.exam import Examined, ground_of
from evaltape.judging.labels import Label
from evaltape.scoring.correction import (
    Corrected,
    Errors,
    NotCorrected,
    by_others,
    by_these,
    count_errors,
    difference_by_others,
)
from evaltape.scoring.prediction import Pair
from evaltape.suite.definition import Judge, Verdict
from evaltape.suite.prompt import Prompt

from tests.support.predictions import answered

TRIALS = 800


def drawn(rng: random.Random, true: float, sensitivity: float = 0.9, specificity: float = 0.8) -> tuple[float, float]:
    """A judge's verdict and a person's label of one answer."""
    label = rng.random() < true
    return float(rng.random() < (sensitivity if label else 1 - specificity)), float(label)


def these(
    labelled: Sequence[tuple[float, float]], others: Sequence[float], chosen: Sequence[float] = (), **how: Any
) -> Corrected:
    """Corrected by (verdict, label) of some answers, the verdicts on others, and the labels of answers that were chosen."""
    rows = [(verdict, label, None) for verdict, label in labelled] + [(verdict, None, None) for verdict in others]
    return by_these([*rows, *((0.0, None, label) for label in chosen)], **how)


def misses(make: Callable[[random.Random], Corrected], truth: float) -> tuple[float, float]:
    """How often the true value lies under the lower end, and over the upper one."""
    rng = random.Random(11)
    found = [make(rng) for _ in range(TRIALS)]
    below = sum(each.low is not None and truth < each.low - 1e-9 for each in found)
    above = sum(each.high is not None and truth > each.high + 1e-9 for each in found)
    return below / TRIALS, above / TRIALS


def test_rogan_and_gladen_by_hand() -> None:
    # Of 100 verdicts 70 are yes; sensitivity 45/50 = 0.9, specificity 40/50 = 0.8: (0.7 + 0.8 - 1) / 0.7 = 0.7143.
    found = by_others([1.0] * 70 + [0.0] * 30, Errors(50, 45, 50, 40))
    assert found.mean == pytest.approx(0.5 / 0.7)
    assert found.note == "corrected by the judge's errors on 100 labels of other answers"
    # Lee et al.: p 0.6926, n 103.84; q1 46/52, q0 41/52; centre 0.7142, its shift 0.0058, its reach 0.1685.
    assert found.low == pytest.approx(0.5519, abs=0.002)
    assert found.high == pytest.approx(0.8879, abs=0.002)


def test_a_judge_that_guesses_corrects_nothing() -> None:
    with pytest.raises(NotCorrected, match=r"hardly does better than guessing \(sensitivity 0.50, specificity 0.50\)"):
        by_others([1.0, 0.0], Errors(50, 25, 50, 25))
    with pytest.raises(NotCorrected, match="9 labels are true and 50 are false; it takes 10 of each"):
        by_others([1.0, 0.0], Errors(9, 9, 50, 25))
    with pytest.raises(NotCorrected, match="19 of its answers have a label; it takes 20"):
        these([(1.0, 1.0)] * 19, [1.0])


def test_errors_are_counted_by_label() -> None:
    assert count_errors([(1.0, [1, 1, 0]), (0.0, [0]), (0.0, [1]), (1.0, [0.5])]) == Errors(3, 2, 2, 1)


def test_prediction_powered_inference_by_hand() -> None:
    # 20 labelled: 12 of 20 verdicts and 10 of 20 labels are yes, on 10 both; 80 others, of which 60 are judged yes.
    labelled = [(1.0, 1.0)] * 10 + [(1.0, 0.0)] * 2 + [(0.0, 0.0)] * 8
    found = these(labelled, [1.0] * 60 + [0.0] * 20)
    covariance, spread = (10 - 20 * 0.6 * 0.5) / 19, 100 * 0.72 * 0.28 / 99
    weight = covariance / ((1 + 20 / 80) * spread)
    assert found.weight == pytest.approx(weight)
    assert found.mean == pytest.approx(weight * 0.75 + 0.5 - weight * 0.6)


def test_answers_chosen_for_their_verdict_stand_for_themselves_alone() -> None:
    """As many labels of a judge's worst cases would else pull the mean down by far more than there are of them."""
    worst = [0.0] * 20
    alone = these([(1.0, 1.0)] * 27 + [(1.0, 0.0)] * 3, [1.0] * 150)
    found = these([(1.0, 1.0)] * 27 + [(1.0, 0.0)] * 3, [1.0] * 150, worst)
    assert alone.mean == pytest.approx(0.9)
    assert found.mean == pytest.approx((180 * 0.9 + 20 * 0.0) / 200)

    def make(rng: random.Random) -> Corrected:
        answers = [drawn(rng, 0.7) for _ in range(200)]
        liked = [place for place, (verdict, _) in enumerate(answers) if verdict == 1][:20]
        others = [answer for place, answer in enumerate(answers) if place not in liked]
        return these(others[:50], [verdict for verdict, _ in others[50:]], [answers[place][1] for place in liked])

    assert max(misses(make, 0.7)) <= 0.045


def test_without_unlabelled_answers_it_is_the_mean_of_the_labels() -> None:
    labelled = [(1.0, 1.0)] * 30 + [(1.0, 0.0)] * 10
    found = these(labelled, [])
    assert (found.mean, found.weight) == (0.75, 0)


def test_it_agrees_with_ppi_py() -> None:
    rng = random.Random(3)
    labelled, others = [drawn(rng, 0.7) for _ in range(400)], [drawn(rng, 0.7)[0] for _ in range(2000)]
    found = these(labelled, others)
    # ppi_py 0.2.3: ppi_mean_pointestimate and ppi_mean_ci of the same. Ours are Student's, and widen for skewness.
    assert found.mean == pytest.approx(0.67554, abs=1e-3)
    assert found.low is not None
    assert found.high is not None
    assert 0.64063 - 0.004 <= found.low <= 0.64063 + 0.001
    assert 0.71046 - 0.001 <= found.high <= 0.71046 + 0.004


@pytest.mark.parametrize("true", [0.5, 0.9])
def test_intervals_miss_the_true_mean_as_seldom_as_they_promise(true: float) -> None:
    found = misses(lambda rng: these([drawn(rng, true) for _ in range(50)], [drawn(rng, true)[0] for _ in range(150)]), true)
    assert max(found) <= 0.045

    def others(rng: random.Random) -> Corrected:
        errors = Errors(50, sum(rng.random() < 0.9 for _ in range(50)), 50, sum(rng.random() < 0.8 for _ in range(50)))
        return by_others([drawn(rng, true)[0] for _ in range(200)], errors)

    assert max(misses(others, true)) <= 0.04


def test_differences_are_corrected_as_pairs() -> None:
    # Verdicts differ by 0.2 on average; the judge shows 0.9 + 0.8 - 1 = 0.7 of a true difference.
    found = difference_by_others([1.0] * 30 + [0.0] * 60 + [-1.0] * 10, Errors(50, 45, 50, 40))
    assert found.mean == pytest.approx(0.2 / 0.7)
    assert found.low is not None
    assert 0 < found.low < found.mean

    def make(rng: random.Random) -> Corrected:
        errors = Errors(50, sum(rng.random() < 0.9 for _ in range(50)), 50, sum(rng.random() < 0.8 for _ in range(50)))
        return difference_by_others([drawn(rng, 0.7)[0] - drawn(rng, 0.5)[0] for _ in range(200)], errors)

    assert max(misses(make, 0.2)) <= 0.065  # promised 5% either side


@pytest.mark.parametrize("labels_of", ["others", "these"])
def test_equal_differences_of_few_pairs_pass_no_more_than_those_of_other_metrics(labels_of: str) -> None:
    judge = Judge(key="faithful", suite="demo", served="judge-1", prompt=Prompt(), verdict=Verdict(json="faithful"))
    name = "other" if labels_of == "others" else "s"
    labels = [
        Label(f"{name}{n}", text, float(text == "yes" or labels_of == "these")) for n in range(30) for text in ("yes", "no")
    ]
    ground = ground_of(Examined(judge), labels, lambda question: float(question.answer == "yes"))
    score = {"faithful": 1.0}
    pairs = [Pair(answered("a", f"s{n}", score, "yes"), answered("b", f"s{n}", score, "no")) for n in range(30)]
    found, _ = ground.difference("faithful", pairs, 0.95, None)
    assert found is not None and found.mean == 0 and found.low is not None and found.low > -0.3
    assert found.decided(-0.3) == ("inconclusive", "all differences are equal: it takes 50 pairs to pass")
    assert found.decided(-1.0)[0] == "passed"  # Any scores would.


def test_pairs_that_people_labelled_are_corrected_by_the_labels() -> None:
    def make(rng: random.Random) -> Corrected:
        pairs = [(drawn(rng, 0.5), drawn(rng, 0.7)) for _ in range(200)]
        judged = [(after[0] - before[0], after[1] - before[1]) for before, after in pairs]
        return these(judged[:60], [verdict for verdict, _ in judged[60:]], tail=0.05, limits=(-1.0, 1.0))

    assert max(misses(make, 0.2)) <= 0.065
