"""Kappa and the shares beside it, against values computed by hand and by simulation."""

import random

import pytest
from evaltape.judging.agreement import agree, flips, kappa, labels_needed, share

Table = dict[tuple[float, float], int]


def pairs(table: Table) -> list[tuple[float, float]]:
    return [pair for pair, count in table.items() for _ in range(count)]


def test_kappa_of_cohens_kind_by_hand() -> None:
    # 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: 0.70 agree; by chance 0.5 x 0.6 + 0.5 x 0.4 = 0.50.
    found = kappa(pairs({(1, 1): 20, (1, 0): 5, (0, 1): 10, (0, 0): 15}))
    assert found.mean == pytest.approx(0.4)
    # Its large-sample standard error (Fleiss, Cohen and Everitt 1969) is 0.1267: 0.15 to 0.65, and t a little wider.
    assert found.low == pytest.approx(0.40 - 2.01 * 0.128, abs=0.04)
    assert found.high == pytest.approx(0.40 + 2.01 * 0.128, abs=0.04)


def test_kappa_with_quadratic_weights_by_hand() -> None:
    # Ratings 1, 2, 3 as 0, 0.5, 1. Two of eight pairs differ by half: D = 2 x 0.25 / 8; both have mean 0.5 and variance 0.125.
    rated = [(0, 0), (0, 0.5), (0.5, 0.5), (0.5, 0.5), (0.5, 0.5), (0.5, 0), (1, 1), (1, 1)]
    assert kappa(rated).mean == pytest.approx(1 - 0.0625 / 0.25)


def test_a_judge_that_always_says_yes_has_kappa_0_and_one_verdict_alone_has_none() -> None:
    assert kappa(pairs({(1, 1): 30, (0, 1): 10})).mean == pytest.approx(0)
    assert kappa(pairs({(1, 1): 30})) is None


def test_perfect_agreement_still_has_a_lower_end() -> None:
    found = kappa(pairs({(1, 1): 30, (0, 0): 30}))
    # With 60 answers a share of 1 - 0.025 ** (1 / 60) = 5.96% that disagree may be unseen; by chance half would.
    assert (found.mean, found.high) == (1, 1)
    assert found.low == pytest.approx(1 - 0.0596 / 0.5, abs=0.0005)


def test_clusters_widen_the_interval() -> None:
    rated = pairs({(1, 1): 20, (1, 0): 4, (0, 1): 4, (0, 0): 20})
    alone, paired = kappa(rated), kappa(rated * 2, [str(place) for place in range(48)] * 2)
    assert paired.mean == pytest.approx(alone.mean)
    assert alone.low is not None
    assert paired.low == pytest.approx(alone.low, abs=0.02)


@pytest.mark.parametrize(("count", "true"), [(60, 0.5), (100, 0.8)])
def test_intervals_of_kappa_hold_it_in_94_percent_of_cases(count: int, true: float) -> None:
    sensitivity, specificity, rng = 0.9, 0.85, random.Random(7)
    said = true * sensitivity + (1 - true) * (1 - specificity)
    wrong = true * (1 - sensitivity) + (1 - true) * (1 - specificity)
    truth = 1 - wrong / (true * (1 - said) + (1 - true) * said)

    def drawn() -> tuple[float, float]:
        label = rng.random() < true
        return float(label), float(rng.random() < (sensitivity if label else 1 - specificity))

    found = [kappa([drawn() for _ in range(count)]) for _ in range(600)]
    held = sum(each.low <= truth <= each.high for each in found)  # type: ignore[operator]
    assert held / 600 >= 0.94


def test_what_stands_beside_kappa() -> None:
    # Ten answers with one label each; two of three true ones and six of seven false ones are seen.
    rated = [
        (str(n), verdict, [label]) for n, (label, verdict) in enumerate(pairs({(1, 1): 2, (1, 0): 1, (0, 0): 6, (0, 1): 1}))
    ]
    found = agree(rated)
    assert found is not None
    assert (found.labels, found.answers, found.agreed, found.commonest) == (10, 10, 0.8, 0.7)
    assert found.sensitivity == share(2, 3)
    assert found.specificity == share(6, 7)
    assert found.confusion == {(0, 0): 6, (0, 1): 1, (1, 0): 1, (1, 1): 2}
    assert found.people is None
    assert agree([]) is None


def test_several_people_agree_with_each_other_and_with_the_judge() -> None:
    # Three people; on the last of four answers one of them says no.
    rated = [("1", 1.0, [1, 1, 1]), ("2", 0.0, [0, 0, 0]), ("3", 0.0, [0, 0, 0]), ("4", 1.0, [1, 1, 0])]
    found = agree(rated)
    assert found is not None
    assert (found.labels, found.answers) == (12, 4)
    # Of 24 ordered pairs of people 4 differ; 10 of 24 labels in them are yes on either side.
    assert found.people is not None
    assert found.people.mean == pytest.approx(1 - (4 / 24) / (2 * (10 / 24) * (14 / 24)))
    assert found.agreed == pytest.approx(11 / 12)


def test_a_scale_has_no_sensitivity() -> None:
    found = agree([("1", 0.75, [0.75]), ("2", 0.25, [0.5])], is_scale=True)
    assert found is not None
    assert (found.sensitivity, found.specificity, found.agreed) == (None, None, 0.5)


def test_how_many_labels_certify_a_share() -> None:
    assert labels_needed(0.80, 0.90) == 62
    assert labels_needed(0.80, 0.80) is None
    low = share(56, 62).low
    assert low is not None
    assert low == pytest.approx(0.80, abs=0.01)


def test_how_often_verdicts_flip() -> None:
    # Of three verdicts two of three pairs differ if one is another; of two, all or none.
    assert flips([[1, 1, 0], [1, 1, 1], [0, 0]]) == pytest.approx((2 / 3) / 3)
    assert flips([[1.0], []]) is None
