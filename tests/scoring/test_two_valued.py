"""Wilson's and Tango's intervals against published examples and their definitions."""

from math import comb, inf, log

import pytest
from evaltape.scoring.paired import difference
from evaltape.scoring.statistics import pairs_to_pass, tango, wilson
from evaltape.scoring.student_t import normal_quantile


@pytest.mark.parametrize(
    ("ones", "samples", "low", "high"),
    [
        (8, 10, 0.4902, 0.9433),
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_a_share_has_wilsons_interval(ones: int, samples: int, low: float, high: float) -> None:
    # All but the first are the examples of Newcombe, Statistics in Medicine 17 (1998), 857-872.
    assert wilson(ones, samples, 0.025) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("samples", "average", "least"), [(20, 0.953, 0.927), (50, 0.952, 0.931), (200, 0.951, 0.940)])
def test_wilsons_interval_holds_a_share_in_95_percent_of_cases_on_average(samples: int, average: float, least: float) -> None:
    # Exact, over all counts there can be: a share that is counted can't be covered evenly.
    ends = [wilson(ones, samples, 0.025) for ones in range(samples + 1)]
    shares = [n / 1000 for n in range(1, 1000)]
    covered = {
        share: sum(
            comb(samples, ones) * share**ones * (1 - share) ** (samples - ones)
            for ones, (low, high) in enumerate(ends)
            if low <= share <= high
        )
        for share in shares
    }
    assert sum(covered.values()) / len(covered) == pytest.approx(average, abs=1e-3)
    assert min(covered[share] for share in shares[99:900]) == pytest.approx(least, abs=1e-3)


def test_two_paired_shares_have_tangos_interval() -> None:
    # Airway hyper-responsiveness before and after a transplantation: Fagerland, Lydersen and Laake, Statistics in Medicine
    # 33 (2014), 2850-2875: -0.517 to -0.026.
    assert tango(1, 7, 21, 0.025) == pytest.approx((-0.517, -0.026), abs=5e-4)


@pytest.mark.parametrize(("gains", "losses", "pairs"), [(7, 1, 21), (3, 0, 12), (0, 0, 40), (5, 5, 10), (0, 9, 30)])
def test_tangos_ends_are_where_the_score_statistic_is_the_quantile(gains: int, losses: int, pairs: int) -> None:
    low, _ = tango(gains, losses, pairs, 0.05)
    # The likeliest share of losses under that difference, sought among 200,000 instead of solved for.
    rest = pairs - gains - losses
    shares = [max(0.0, -low) + n / 200_000 * (1 - abs(low)) / 2 for n in range(1, 200_000)]

    def likelihood(share: float) -> float:
        chances = ((gains, share + low), (losses, share), (rest, 1 - 2 * share - low))
        return sum(count * (log(chance) if chance > 0 else -inf) for count, chance in chances if count)

    share = max(shares, key=likelihood)
    variance = pairs * (2 * share + low - low * low)
    assert (gains - losses - pairs * low) / variance**0.5 == pytest.approx(normal_quantile(0.95), abs=2e-3)


def test_gains_and_losses_mirror_each_other() -> None:
    low, high = tango(7, 1, 21, 0.05)
    assert tango(1, 7, 21, 0.05) == (-high, -low)


def test_pairs_without_a_change_pass_once_they_are_as_many_as_it_takes() -> None:
    needed = pairs_to_pass(-0.02, 0.05)
    assert needed == 133
    assert tango(0, 0, needed, 0.05)[0] >= -0.02 > tango(0, 0, needed - 1, 0.05)[0]


def false_passes(pairs: int, bound: float, differing: float) -> float:
    """Return the exact probability to pass where the true difference is the bound, over all counts there can be."""
    gain, loss = (differing + bound) / 2, (differing - bound) / 2
    total = 0.0
    for gains in range(pairs + 1):
        for losses in range(pairs + 1 - gains):
            same = pairs - gains - losses
            before, after = [0.0] * gains + [1.0] * losses + [0.0] * same, [1.0] * gains + [0.0] * (losses + same)
            if difference(before, after, limits=(0, 1)).verdict(bound) == "passed":
                ways = comb(pairs, gains) * comb(pairs - gains, losses)
                total += ways * gain**gains * loss**losses * (1 - differing) ** same
    return total


@pytest.mark.parametrize("bound", [-0.1, -0.02, 0.0, 0.05, 0.1])
@pytest.mark.parametrize(("pairs", "differing"), [(10, 0.2), (10, 0.5), (20, 0.24), (30, 0.16)])
def test_two_valued_scores_pass_wrongly_in_at_most_6_percent(pairs: int, differing: float, bound: float) -> None:
    # Tango's interval alone: 8.7% for 30 pairs of which 16% differ, with the bound 0.1.
    assert false_passes(pairs, bound, differing) <= 0.06
