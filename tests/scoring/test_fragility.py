"""How many samples turn a verdict: against all subsets of few samples, and against values worked out by hand."""

import random
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
from evaltape.scoring.bounds import Bound, Fragility
from evaltape.scoring.fragility import TURNS, Removable, fragility
from evaltape.scoring.paired_scores import SampleChanges
from msgspec.structs import replace

from tests.scoring.test_decisions import MIXED, NOTHING, Row, by_slice, pair, past, scores

SMALL = 3
"""Up to so many pairs all subsets of a dozen are tried."""
GOOD = [0.9, 0.8, 0.7, 0.6]


def turned(kind: Any, limit: float, found: Removable, metric: str = "score") -> tuple[str, Fragility | None]:
    """A bound's verdict, and how fragile it is."""
    decision = found.decide(Bound(kind, "chats", "small", metric, limit))
    return decision.verdict, fragility(decision, found)


def fewest(kind: Any, limit: float, found: Removable, ids: list[str], most: int, metric: str = "score") -> int | None:
    """The same number by trying every subset."""
    bound = Bound(kind, "chats", "small", metric, limit)
    wanted = {verdict for verdicts in TURNS[found.decide(bound).verdict] for verdict in verdicts}

    def turns(removed: tuple[str, ...]) -> bool:
        return found.without(removed).decide(bound).verdict in wanted

    return next((number for number in range(1, most + 1) if any(map(turns, combinations(ids, number)))), None)


def random_rows(chance: random.Random, number: int, faults: bool) -> list[Row]:
    """Scores with two decimals, some of them alike; some samples failed or unscored."""
    rows: list[Row] = [round(chance.choice((0.1, 0.4, 0.7)) + chance.random() / 4, 2) for _ in range(number)]
    for place in range(number):
        if faults and chance.random() < 0.15:
            rows[place] = chance.choice((None, NOTHING))
    return rows


def random_gates() -> Iterator[tuple[float, list[Row], str, int]]:
    chance = random.Random(5)
    for number in range(120):
        rows = random_rows(chance, 8, faults=number % 2 == 0)
        yield round(chance.uniform(0.3, 0.7), 2), rows, chance.choice(("score", "late")), chance.choice((0, 1))


def test_of_a_gate_it_is_the_least_number_of_all_subsets() -> None:
    seen = set()
    for limit, rows, metric, allowed in random_gates():
        found = scores(*({metric: row} if isinstance(row, float) else row for row in rows), metric=metric, allow_failed=allowed)
        verdict, one = turned("gate", limit, found, metric)
        lenient = sum(row is None for row in rows)
        kept = len(rows) - min(lenient, allowed) if verdict == "failed" else sum(isinstance(row, float) for row in rows)
        expected = fewest("gate", limit, found, [f"s{n:03d}" for n in range(len(rows))], kept // 2, metric)
        assert (one and one.samples) == expected, (limit, rows, metric, allowed)
        seen.add((verdict, expected))
    assert {("passed", 1), ("passed", 3), ("failed", 1), ("failed", 3), ("passed", None), ("failed", None)} <= seen


def test_of_a_difference_it_is_an_upper_bound_that_is_mostly_exact() -> None:
    chance, exact, tried = random.Random(7), 0, 0
    for _ in range(40):
        before = [round(chance.random(), 2) for _ in range(12)]
        after = [round(value + chance.gauss(0.1, 0.1) + (chance.random() < 0.1), 2) for value in before]
        kind, limit = chance.choice((("min_gain", 0.05), ("max_drop", 0.02), ("min_gain", 0.2)))
        found = pair(before, after)
        _, one = turned(kind, limit, found)
        least = fewest(kind, limit, found, [f"s{n:03d}" for n in range(12)], SMALL)
        assert one is None or least is None or one.samples >= least, (kind, limit, before, after)
        assert one is None or least is not None or one.samples > SMALL
        tried += least is not None
        exact += one is not None and one.samples == least
    assert tried > 20
    assert exact >= 0.8 * tried, (exact, tried)


@pytest.mark.parametrize(
    ("kind", "limit", "found", "verdict", "expected"),
    [
        # Mean 0.75; without 0.9 it is 0.7, without 0.8 too 0.65.
        ("gate", 0.7, scores(*GOOD), "passed", Fragility(2, ("s000", "s001"), "failed")),
        ("gate", 0.74, scores(*GOOD), "passed", Fragility(1, ("s000",), "failed")),
        ("gate", 0.6, scores(*GOOD), "passed", None),
        ("gate", 0.8, scores(*GOOD), "failed", Fragility(1, ("s003",), "passed")),
        ("gate", 0.85, scores(*GOOD), "failed", Fragility(2, ("s003", "s002"), "passed")),
        ("gate", 0.75, scores(*GOOD, None, NOTHING), "failed", Fragility(2, ("s005", "s004"), "passed")),
        ("gate", 0.75, scores(*GOOD, None, None, allow_failed=1), "failed", Fragility(1, ("s004",), "passed")),
        ("gate", 0.75, scores(*GOOD, None, allow_failed=1), "passed", Fragility(1, ("s000",), "failed")),
        ("gate", 0.5, scores(), "failed", None),
        # Nothing passes on fewer than 10 pairs, or on fewer than 50 equal ones.
        ("max_drop", 0.02, pair([0.5] * 11, [0.5, *[0.6, 0.7] * 5]), "passed", Fragility(2, ("s002", "s004"), "inconclusive")),
        ("min_gain", 0.1, pair([0.2] * 60, [0.5] * 60), "passed", Fragility(11, (), "inconclusive")),
        ("min_gain", 0.1, pair([], []), "failed", None),
        # All is far from the bound, but for the pair that lost everything.
        ("max_drop", 0.05, pair([1.0] * 20, [0.0, *[0.99, 1.0] * 9, 1.0]), "inconclusive", Fragility(1, ("s000",), "passed")),
        ("against", 0.02, past(MIXED, MIXED, now="a"), "passed", None),
        ("against", 0.02, past(MIXED[:9], MIXED[:9], changes=SampleChanges(added=["x"])), "not checked", None),
    ],
)
def test_by_hand(kind: Any, limit: float, found: Removable, verdict: str, expected: Fragility | None) -> None:
    decided, one = turned(kind, limit, found)
    assert decided == verdict
    if expected is not None and not expected.ids:  # Whichever of equal ones are named.
        one = one and replace(one, ids=())
    assert one == expected


def test_a_slice_gate_fails_by_one_slice_and_passes_by_all_of_them() -> None:
    low = [value - 0.3 for value in MIXED]  # Its best are 0.7, every sixth.
    best = Fragility(3, ("s029", "s035", "s041"), "failed")
    assert turned("slice_gate", 0.5, by_slice(MIXED, low)) == ("passed", best)
    # Five fewer, and a slice of 24 is too small to be gated.
    verdict, one = turned("slice_gate", 0.6, by_slice(MIXED, low))
    assert (verdict, one and one.samples) == ("failed", 5)
    # The worst of both are removed together: five of one and eight of the other.
    verdict, one = turned("slice_gate", 0.6, by_slice(MIXED, low, low))
    assert (verdict, one and one.samples) == ("failed", 13)
    assert turned("slice_gate", 0.9, by_slice([0.3] * 30)) == ("inconclusive", None)


def test_the_samples_that_are_named_turn_it() -> None:
    chance = random.Random(3)
    for _ in range(30):
        rows = [chance.random() for _ in range(60)]
        cases: list[tuple[Removable, Any, float]] = [
            (scores(*rows), "gate", 0.45),
            (pair(rows, [value + chance.gauss(0.05, 0.1) for value in rows]), "min_gain", 0.03),
            (by_slice(rows[:30], rows[30:]), "slice_gate", 0.52),
        ]
        for found, kind, limit in cases:
            bound = Bound(kind, "chats", "small", "score", limit)
            one = fragility(found.decide(bound), found)
            if one is not None and one.samples == len(one.ids):
                assert found.without(one.ids).decide(bound).verdict == one.becomes != found.decide(bound).verdict
