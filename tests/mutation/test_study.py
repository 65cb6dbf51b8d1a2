"""The smallest share of each damage that each gate notices: by hand for six answers, and what follows from it.

The six answers equal their references. `exact` is 1 for the reference and 0 for anything else; `words` is the part of the
reference's words that an answer has. Shares of 6 answers are 1, 1, 2, 3 and 6 of them, of 5 answers 1, 1, 1, 3 and 5, of 3
answers 1, 1, 1, 2 and 3.
"""

import itertools
import json
import math
import re
from typing import Any

import pytest
from evaltape.mutation.findings import Noticing, shortest_between
from evaltape.mutation.gates import Gate, mean_gate, paired_gate
from evaltape.mutation.mutants import make_mutants, score_mutants
from evaltape.mutation.operators import BUILT_IN
from evaltape.mutation.study import SHARES, Damaged, Study, answers_at, study

from tests.mutation.samples import ANSWERS, SIX, Sample, share_by_counting
from tests.support.metrics import NO_CALL, metrics

EXACT = mean_gate("exact", 0.75)
"""Fails where two answers of six are damaged: 4/6."""
WORDS = mean_gate("words", 0.9)
"""Fails where more than 0.6 of six answers' words are lost."""
UNDAMAGED = {"exact": [1.0] * 6, "words": [1.0] * 6}


def words_of(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def score(sample: Sample, answer: str) -> dict[str, float | None]:
    (reference,) = sample.references
    kept = words_of(reference) & words_of(answer)
    return {"exact": float(answer == reference), "words": len(kept) / len(words_of(reference))}


def six_damaged(*operators: str) -> list[Damaged]:
    everything = make_mutants([BUILT_IN[name] for name in operators or BUILT_IN], ANSWERS)
    return [
        Damaged(
            each.operator.name,
            each.operator.harmful,
            [text is not None for text in each.texts],
            score_mutants(each, SIX, ("exact", "words"), score),
        )
        for each in everything
    ]


def six_study(*gates: Gate) -> Study:
    return study(UNDAMAGED, gates or (EXACT, WORDS), six_damaged())


def all_alike(damaged_score: float, answers: int, metric: str = "exact", harmful: bool = True) -> list[Damaged]:
    """An operator that gives every answer one score."""
    return [Damaged("op", harmful, [True] * answers, {metric: [damaged_score] * answers})]


def shares(found: Study) -> list[float | None]:
    return [each.share for each in found.operators[0].noticing]


def test_the_smallest_share_of_each_damage_by_hand() -> None:
    results = six_study().as_result()
    assert {name: (table["applies_to"], table["exact"]) for name, table in results.items()} == {
        "swap_names": (3, 0.5),
        "other_name": (5, 0.5),
        "negate": (5, 0.5),
        "wrong_number": (3, 0.5),
        "drop_half": (6, 0.25),
        "other_sample": (6, 0.25),
        "first_lines": (6, 0.25),
        "refusal": (6, 0.25),
        "repeat": (6, 0.25),
        "preamble": (6, 0.25),
        "whitespace": (6, 0.25),
        "quotes": (6, 0.25),
        "final_stop": (6, 0.25),
    }
    by_words = {name: table["words"] for name, table in results.items()}
    # Of the first lines two answers lose between 0.33 and 1.3 of their words: that depends on the draws.
    lost = [1 / 6, 3 / 7, 2 / 7, 1 / 6, 4 / 5, 2 / 4]
    assert by_words.pop("first_lines") == share_by_counting("first_lines", dict(enumerate(lost)), allowed=0.6)
    assert by_words == {
        "swap_names": None,  # Every word is still there.
        "other_name": 1.0,  # 1/6 + 1/7 + 1/7 + 1/6 + 1/5 = 0.82 are lost; of three answers at most 0.54.
        "negate": None,  # "doesn't" is lost: 2/7.
        "wrong_number": None,  # 1/6 + 1/7 + 1/6
        "drop_half": 0.25,  # One answer loses at most 4/7, two at least 4/5.
        "other_sample": 0.05,  # No two answers share a word.
        "refusal": 0.05,
        "repeat": None,
        "preamble": None,
        "whitespace": None,
        "quotes": None,
        "final_stop": None,
    }


def test_the_mutation_score_counts_harmful_operators_noticed_at_a_quarter() -> None:
    found = six_study()
    assert [each.operator for each in found.noticed] == ["drop_half", "other_sample", "first_lines", "refusal", "repeat"]
    assert [each.operator for each in found.missed] == ["swap_names", "other_name", "negate", "wrong_number"]
    assert len(found.applicable) == 9


def test_harmless_operators_that_are_noticed_are_brittle_with_their_gate() -> None:
    brittle = [(operator.operator, noticing.gate.name, noticing.share) for operator, noticing in six_study().brittle]
    assert brittle == [(name, "exact", 0.25) for name in ("preamble", "whitespace", "quotes", "final_stop")]
    assert six_study(WORDS).brittle == []


def test_what_no_gate_notices_comes_first_and_harmless_operators_last() -> None:
    found = six_study(WORDS)
    assert [(each.operator, each.share) for each in found.hardest_first][:5] == [
        ("swap_names", None),
        ("negate", None),
        ("wrong_number", None),
        ("repeat", None),
        ("other_name", 1.0),
    ]
    assert [each.harmful for each in found.hardest_first] == [True] * 9 + [False] * 4


def test_the_nearest_gate_of_a_missed_operator_and_the_bound_that_would_notice_it() -> None:
    swap_names = six_study().operators[0]
    nearest = swap_names.nearest(0.25)
    assert nearest is not None
    assert nearest.gate.name == "exact"
    # A quarter of three answers is one: the mean falls from 1 to 5/6, two thirds of the way to 0.75.
    assert nearest.reached(0.25) == pytest.approx(5 / 6)
    assert nearest.nearness(0.25) == pytest.approx(2 / 3)
    assert nearest.bound_that_notices(0.25) == 0.84
    tighter = six_study(mean_gate("exact", 0.84)).operators[0]
    assert tighter.is_noticed(0.25)


def test_the_proposed_bound_leaves_the_undamaged_answers_half_of_the_way() -> None:
    noticing = Noticing(mean_gate("exact", -0.02), 0.0, {0.25: (-0.0034,) * 20})
    assert noticing.bound_that_notices(0.25) == -0.003


def test_no_bound_on_a_metric_that_does_not_move_would_notice() -> None:
    (words,) = six_study(WORDS).operators[0].noticing
    assert words.nearness(0.25) == 0
    assert words.bound_that_notices(0.25) is None


def test_a_damage_that_raises_the_score_is_never_noticed_by_its_gate() -> None:
    (noticing,) = study({"exact": [0.5] * 8}, [mean_gate("exact", 0.5)], all_alike(1.0, 8)).operators[0].noticing
    assert (noticing.share, noticing.nearness(0.25), noticing.bound_that_notices(0.25)) == (None, -math.inf, None)


def test_where_lower_is_better_a_rise_is_noticed() -> None:
    gate = mean_gate("repetition", 0.3, higher_is_better=False)
    found = study({"repetition": [0.1] * 8}, [gate], all_alike(0.6, 8, "repetition"))
    # Of 8 answers 1, 1, 2, 4 and 8: means 0.1625, 0.1625, 0.225, 0.35, 0.6.
    assert shares(found) == [0.5]
    (noticing,) = found.operators[0].noticing
    assert noticing.nearness(0.25) == pytest.approx(0.125 / 0.2)
    assert noticing.bound_that_notices(0.25) == 0.22


def test_a_comparison_is_decided_again_with_the_candidates_damaged_scores() -> None:
    def mean_less_a_tenth(gains: Any) -> Any:
        return gains.mean(axis=1) - 0.1

    compare = paired_gate(("comparisons", "tuning-helps"), "exact", 0.2, [0.5] * 6, mean_less_a_tenth)
    # Undamaged 1 - 0.5 - 0.1 = 0.4; each damaged answer costs 1/6, so that two of six bring it under 0.2.
    assert study(UNDAMAGED, [compare], six_damaged("drop_half", "swap_names")).as_result() == {
        "drop_half": {"applies_to": 6, "comparisons": {"tuning-helps": {"exact": 0.25}}},
        "swap_names": {"applies_to": 3, "comparisons": {"tuning-helps": {"exact": 0.5}}},
    }


def test_against_the_undamaged_recording_every_drop_counts() -> None:
    def mean(gains: Any) -> Any:
        return gains.mean(axis=1)

    against = paired_gate(("against",), "exact", -0.1, UNDAMAGED["exact"], mean)
    found = study(UNDAMAGED, [against], six_damaged("swap_names"))
    assert found.as_result() == {"swap_names": {"applies_to": 3, "against": {"exact": 0.05}}}
    assert found.operators[0].noticing[0].undamaged == 0


def test_results_are_json_with_the_gates_comparisons_and_against_of_each_operator() -> None:
    def mean(gains: Any) -> Any:
        return gains.mean(axis=1)

    gates = [EXACT, WORDS, paired_gate(("against",), "words", -0.05, UNDAMAGED["words"], mean)]
    table = json.loads(json.dumps(six_study(*gates).as_result(), allow_nan=False))
    assert table["refusal"] == {"applies_to": 6, "exact": 0.25, "words": 0.05, "against": {"words": 0.05}}
    assert table["swap_names"] == {"applies_to": 3, "exact": 0.5, "words": None, "against": {"words": None}}


def test_an_operator_that_applies_to_no_answer_is_counted_nowhere() -> None:
    nothing = Damaged("op", True, [False] * 6, {"exact": [None] * 6, "words": [None] * 6})
    found = study(UNDAMAGED, [EXACT], [nothing])
    assert found.as_result() == {"op": {"applies_to": 0}}
    assert (found.applicable, found.noticed, found.missed) == ([], [], [])
    assert found.operators[0].nearest(0.25) is None


@pytest.mark.parametrize(
    ("gate", "reason"),
    [
        (mean_gate("exact", 1.1), "fails without any damage (1.0000, bound 1.1)"),
        (mean_gate("latency_s", 9.0, higher_is_better=False), "latency_s isn't computed from the answer's text"),
        (paired_gate(("against",), "exact", 0.0, [None] * 6, lambda gains: []), "there are too few answers to compare"),
        (mean_gate("patchy", 0.5), "2 of 6 answers have no score"),
        (mean_gate("exact", 0.5, undecided="3 of 9 samples failed, 0 allowed"), "3 of 9 samples failed, 0 allowed"),
    ],
)
def test_a_gate_of_which_nothing_can_be_said_is_left_out_with_the_reason(gate: Gate, reason: str) -> None:
    undamaged = {**UNDAMAGED, "latency_s": [1.0] * 6, "patchy": [1.0, None, None, 1.0, 1.0, 1.0]}
    damaged = Damaged("op", True, [True] * 6, {"exact": [0.0] * 6, "patchy": [0.0] * 6})
    found = study(undamaged, [gate, EXACT], [damaged])
    assert [(each.gate, each.reason) for each in found.left_out] == [(gate, reason)]
    assert found.gates == (EXACT,)
    assert found.as_result() == {"op": {"applies_to": 6, "exact": 0.25}}


def test_a_mutant_that_the_metric_cannot_score_is_noticed() -> None:
    assert shares(study({"exact": [1.0] * 6}, [EXACT], all_alike(math.nan, 6))) == [0.05]


def test_a_share_is_noticed_from_four_fifths_of_the_draws_on() -> None:
    def noticing(failing: int) -> Noticing:
        return Noticing(mean_gate("exact", 0.5), 1.0, {0.25: (0.4,) * failing + (0.6,) * (20 - failing)})

    assert (noticing(16).share, noticing(16).reached(0.25)) == (0.25, 0.4)
    assert (noticing(15).share, noticing(15).reached(0.25)) == (None, 0.6)


def test_an_answer_that_alone_matters_is_drawn_as_often_as_its_share() -> None:
    only_one = Damaged("op", True, [True] * 20, {"exact": [0.0] + [1.0] * 19})
    (noticing,) = study({"exact": [1.0] * 20}, [mean_gate("exact", 0.99)], [only_one]).operators[0].noticing
    drawn = {share: sum(value < 0.99 for value in values) for share, values in noticing.values.items()}
    assert 4 <= drawn[0.5] <= 16
    assert drawn[1.0] == 20
    assert noticing.share == 1.0


def test_a_larger_share_of_a_draw_contains_the_smaller_one() -> None:
    # Each answer loses a power of two, so the mean tells which answers were drawn.
    scores = {"exact": [-float(2**place) for place in range(16)]}
    damaged = Damaged("op", True, [True] * 16, scores)
    (noticing,) = study({"exact": [0.0] * 16}, [mean_gate("exact", -1e9)], [damaged]).operators[0].noticing
    drawn = {share: [round(-value * 16) for value in values] for share, values in noticing.values.items()}
    assert [[each.bit_count() for each in drawn[share]] for share in SHARES] == [[count] * 20 for count in (1, 2, 4, 8, 16)]
    for smaller, larger in itertools.pairwise(SHARES):
        assert all(few & many == few for few, many in zip(drawn[smaller], drawn[larger], strict=True))
    assert len(set(drawn[0.5])) > 15


def test_the_share_that_a_suite_asks_for_is_tried_too() -> None:
    found = study({"exact": [1.0] * 20}, [mean_gate("exact", 0.7)], all_alike(0.0, 20), noticed_at=0.35)
    assert shares(found) == [0.35]
    assert [each.operator for each in found.noticed] == ["op"]


def test_the_same_scores_give_the_same_study() -> None:
    def values() -> list[Any]:
        return [each.values for operator in six_study().operators for each in operator.noticing]

    assert values() == values()


@pytest.mark.parametrize(
    ("share", "applies_to", "answers"), [(0.05, 6, 1), (0.1, 6, 1), (0.25, 6, 2), (0.05, 50, 3), (0.25, 143, 36), (1.0, 7, 7)]
)
def test_a_share_is_rounded_to_whole_answers_and_is_at_least_one(share: float, applies_to: int, answers: int) -> None:
    assert answers_at(share, applies_to) == answers


@pytest.mark.parametrize(
    ("low", "high", "number"),
    [
        (0.8333, 0.9, 0.84),
        (0.4718, 0.4719, 0.4719),
        (-0.0034, -0.0017, -0.003),
        (0.3, 0.3, None),
        (0.30, 0.31, 0.31),
        (-math.inf, 0.5, None),
        (0.1, 0.1000001, None),
    ],
)
def test_a_proposed_bound_has_few_decimals(low: float, high: float, number: float | None) -> None:
    assert shortest_between(low, high) == number


def test_rouge_1_never_notices_that_names_are_swapped() -> None:
    (mutants,) = make_mutants([BUILT_IN["swap_names"]], ANSWERS)
    rouge_1 = metrics({"rouge1": {}})["rouge1"]
    columns = score_mutants(mutants, SIX, ("rouge1",), lambda sample, text: {"rouge1": rouge_1.score(sample, text, NO_CALL)})
    damaged = Damaged("swap_names", True, [text is not None for text in mutants.texts], columns)
    assert study({"rouge1": [1.0] * 6}, [mean_gate("rouge1", 1.0)], [damaged]).as_result() == {
        "swap_names": {"applies_to": 3, "rouge1": None}
    }
