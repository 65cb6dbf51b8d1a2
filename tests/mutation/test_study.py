"""The smallest share of each damage that each gate notices: by hand for six answers, and what follows from it.

The six answers equal their references. `exact` is 1 for the reference and 0 for anything else; `kept` is the part of the
reference's words that an answer has. Shares of 6 answers are 1, 1, 2, 3 and 6 of them, of 5 answers 1, 1, 1, 3 and 5, of 3
answers 1, 1, 1, 2 and 3.
"""

import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from evaltape.metrics.metric import Metric, score_answer
from evaltape.mutation.model_mutants import Assertions, assertions_of, mutate_model
from evaltape.mutation.operators import BUILT_IN, Operator
from evaltape.mutation.study import SHARES, Damaged, Noticing, Study, answers_at, shortest_between, study
from evaltape.samples.sample import Answer, Sample
from evaltape.scoring.paired_scores import PairedScores
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.scores import ModelScores
from evaltape.scoring.slices import SliceScores
from evaltape.suite.definition import Against, Comparison, Dataset, Fields, Model, Suite
from msgspec.structs import replace

from tests.mutation.samples import SIX, share_by_counting
from tests.support.decisions import mean_gate
from tests.support.decisions import noticing as noticed
from tests.support.metrics import metrics

MODEL = Model("small", "chats", "small")


def suite(against: Against | None = None) -> Suite:
    """A suite of one model."""
    dataset = Dataset(path="rows.jsonl", fields=Fields(), split="train")
    return Suite(file=Path("chats.toml"), dataset=dataset, metrics={}, models={"small": MODEL}, against=against)


def words_of(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def is_equal(sample: Any, answer: Answer) -> float:
    """1 for the reference."""
    return float((answer.text,) == sample.references)


def kept(sample: Any, answer: Answer) -> float:
    """The part of the reference's words that an answer has."""
    (reference,) = sample.references
    return len(words_of(reference) & words_of(answer.text)) / len(words_of(reference))


METRICS = {
    "exact": Metric("exact", is_equal, "[metrics]"),
    "kept": Metric("kept", kept, "[metrics]"),
    "lost": Metric("lost", kept, "[metrics]", higher_is_better=False),
    "free": Metric("free", kept, "[metrics]", bounds=(None, None)),
    **metrics({"latency_s": {}, "rouge1": {}}),
}


def scored(scores: Sequence[Mapping[str, float]]) -> ModelScores:
    """A model whose answers have these scores."""
    answers = [Prediction(MODEL, Sample(f"s{n:03d}", "", ("a",)), Answer("a"), each) for n, each in enumerate(scores)]
    return ModelScores(MODEL, METRICS, answers)


def gate(metric: str, limit: float) -> Assertions:
    """A gate on the mean."""
    return {mean_gate(metric, limit): lambda scores: scores}


EXACT = gate("exact", 0.75)
"""Fails where two answers of six are damaged: 4/6."""
KEPT = gate("kept", 0.9)
"""Fails where more than 0.6 of six answers' words are lost."""
UNDAMAGED = ModelScores(
    MODEL,
    METRICS,
    [
        Prediction(MODEL, Sample(one.id, one.input, one.references), Answer(one.references[0]), {"exact": 1.0, "kept": 1.0})
        for one in SIX
    ],
)


def six_study(assertions: Assertions | None = None, operators: Sequence[str] = tuple(BUILT_IN)) -> Study:
    return mutate_model(
        UNDAMAGED, assertions or {**EXACT, **KEPT}, [BUILT_IN[name] for name in operators], rescored, 0.25
    ).study


def rescored(sample: Sample, text: str) -> Prediction:
    """A mutant with its scores."""
    scores, unscored = score_answer({name: METRICS[name] for name in ("exact", "kept", "rouge1")}, sample, Answer(text))
    return Prediction(MODEL, sample, Answer(text), scores, unscored)


def damaged(scores: ModelScores, *columns: Mapping[str, float] | None, harmful: bool = True) -> Damaged:
    """An operator that gives each answer these scores; None where it doesn't apply."""
    operator = Operator("op", harmful, lambda *_: None)
    predictions = [
        None
        if each is None
        else msgspec.structs.replace(one, answer=Answer("b"), scores=each, unscored={} if each else {"exact": "broken"})
        for one, each in zip(scores.answered, columns, strict=True)
    ]
    return Damaged(operator, predictions)


def alike(before: float, after: float, answers: int, metric: str = "exact") -> tuple[ModelScores, list[Damaged]]:
    """Answers of one score, and an operator that gives each another."""
    scores = scored([{metric: before}] * answers)
    return scores, [damaged(scores, *[{metric: after}] * answers)]


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
    by_words = {name: table["kept"] for name, table in results.items()}
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
    brittle = [(operator.operator, noticing.bound.title, noticing.share) for operator, noticing in six_study().brittle]
    assert brittle == [(name, "exact", 0.25) for name in ("preamble", "whitespace", "quotes", "final_stop")]
    assert six_study(KEPT).brittle == []


def test_what_no_gate_notices_comes_first_and_harmless_operators_last() -> None:
    found = six_study(KEPT)
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
    assert nearest.bound.title == "exact"
    # A quarter of three answers is one: the mean falls from 1 to 5/6, two thirds of the way to 0.75.
    assert nearest.reached(0.25) == pytest.approx(5 / 6)
    assert nearest.nearness(0.25) == pytest.approx(2 / 3)
    assert nearest.bound_that_notices(0.25) == 0.84
    tighter = six_study(gate("exact", 0.84)).operators[0]
    assert tighter.is_noticed(0.25)


def test_the_proposed_bound_leaves_the_undamaged_answers_half_of_the_way() -> None:
    assert noticed(mean_gate("exact", -0.02), 0.0, {0.25: -0.0034}).bound_that_notices(0.25) == -0.003


def test_no_bound_on_a_metric_that_does_not_move_would_notice() -> None:
    (kept,) = six_study(KEPT).operators[0].noticing
    assert kept.nearness(0.25) == 0
    assert kept.bound_that_notices(0.25) is None


def test_a_damage_that_raises_the_score_is_never_noticed_by_its_gate() -> None:
    scores, better = alike(0.5, 1.0, 8)
    (noticing,) = study(scores, gate("exact", 0.5), better).operators[0].noticing
    assert (noticing.share, noticing.nearness(0.25), noticing.bound_that_notices(0.25)) == (None, -math.inf, None)


def test_where_lower_is_better_a_rise_is_noticed() -> None:
    scores, worse = alike(0.1, 0.6, 8, "lost")
    found = study(scores, gate("lost", 0.3), worse)
    # Of 8 answers 1, 1, 2, 4 and 8: means 0.1625, 0.1625, 0.225, 0.35, 0.6.
    assert shares(found) == [0.5]
    (noticing,) = found.operators[0].noticing
    assert noticing.nearness(0.25) == pytest.approx(0.125 / 0.2)
    assert noticing.bound_that_notices(0.25) == 0.22


# ---------------------------------------------------------------- bounds on differences


def paired_study(count: int, before: float, after: float, asked: dict[str, Any], max_drop: float | None = None) -> Study:
    """A study of a candidate of mixed scores beside a baseline that is worse by 0.2, and against its own past."""
    column = [0.6 + 0.1 * (n % 3) for n in range(count)]
    scores = scored([{"exact": score} for score in column])
    comparison = Comparison(key="tuning-helps", suite="chats", baseline="base", candidate="small", **asked)
    baseline = scored([{"exact": score - before + 0.02 * (n % 2)} for n, score in enumerate(column)])
    pair = PairedScores(comparison=comparison, baseline=baseline, candidate=scores)
    against = None if max_drop is None else Against({"exact": max_drop})
    assertions = assertions_of(SliceScores(scores, 20), [pair] if asked else [], suite(against))
    return study(scores, assertions, [damaged(scores, *[{"exact": score - after} for score in column])])


def test_a_comparison_is_decided_again_with_the_candidates_damaged_scores() -> None:
    # A gain of about 0.19, of which each damaged share takes its part of 0.3: half of the answers leave 0.04.
    found = paired_study(60, 0.2, 0.3, {"min_gain": {"exact": 0.1}})
    assert found.as_result() == {"op": {"applies_to": 60, "comparisons": {"tuning-helps": {"exact": 0.25}}}}
    assert found.bounds[0].title == "tuning-helps exact"


def test_a_comparison_that_may_stay_open_is_noticed_once_it_is_clearly_missed() -> None:
    asked = {"min_gain": {"exact": 0.1}, "inconclusive": "skip"}
    assert shares(paired_study(60, 0.2, 0.3, asked)) == [0.5]


def test_against_the_undamaged_recording_every_drop_counts() -> None:
    # A quarter of the answers loses 0.075 of the mean, a half 0.15.
    found = paired_study(60, 0.2, 0.3, {}, max_drop=0.15)
    assert found.as_result() == {"op": {"applies_to": 60, "against": {"exact": 0.5}}}
    assert found.operators[0].noticing[0].before.value == 0


def test_few_answers_pass_against_themselves_as_they_do_in_a_run() -> None:
    found = paired_study(12, 0.2, 0.3, {}, max_drop=0.5)
    assert not found.left_out
    assert [bound.title for bound in found.bounds] == ["against exact"]


def test_results_are_json_with_the_gates_comparisons_and_against_of_each_operator() -> None:
    table = json.loads(json.dumps(six_study().as_result(), allow_nan=False))
    assert table["refusal"] == {"applies_to": 6, "exact": 0.25, "kept": 0.05}
    assert table["swap_names"] == {"applies_to": 3, "exact": 0.5, "kept": None}


def test_an_operator_that_applies_to_no_answer_is_counted_nowhere() -> None:
    found = study(UNDAMAGED, EXACT, [damaged(UNDAMAGED, *[None] * 6)])
    assert found.as_result() == {"op": {"applies_to": 0}}
    assert (found.applicable, found.noticed, found.missed) == ([], [], [])
    assert found.operators[0].nearest(0.25) is None


@pytest.mark.parametrize(
    ("asserted", "scores", "reason"),
    [
        (gate("exact", 1.1), UNDAMAGED, "fails without any damage (1.0000, bound 1.1)"),
        (gate("latency_s", 9.0), UNDAMAGED, "latency_s isn't computed from the answer's text"),
        (EXACT, scored([]), "no sample was answered: small exact, gate 0.75"),
        (
            EXACT,
            scored([{"exact": 1.0}, {}]),
            "1 of 2 answers not scored: small exact: s001: its recording holds no exact",
        ),
    ],
)
def test_a_bound_of_which_nothing_can_be_said_is_left_out_with_the_reason(
    asserted: Assertions, scores: ModelScores, reason: str
) -> None:
    found = study(scores, asserted, [damaged(scores, *[{"exact": 0.0}] * len(scores.answered))])
    assert found.left_out == dict.fromkeys(asserted, reason)
    assert found.bounds == ()


def test_a_mutant_that_the_metric_cannot_score_is_noticed() -> None:
    scores = scored([{"exact": 1.0}] * 6)
    assert shares(study(scores, EXACT, [damaged(scores, *[{}] * 6)])) == [0.05]


def test_a_share_is_noticed_from_four_fifths_of_the_draws_on() -> None:
    def noticing(failing: int) -> Noticing:
        bound = mean_gate("exact", 0.5)
        (failed,), (passed,) = (noticed(bound, 1.0, {0.25: value}).draws[0.25][:1] for value in (0.4, 0.6))
        return replace(noticed(bound, 1.0, {}), draws={0.25: [failed] * failing + [passed] * (20 - failing)})

    assert (noticing(16).share, noticing(16).reached(0.25)) == (0.25, 0.4)
    assert (noticing(15).share, noticing(15).reached(0.25)) == (None, 0.6)


def test_an_answer_that_alone_matters_is_drawn_as_often_as_its_share() -> None:
    scores = scored([{"exact": 1.0}] * 20)
    only_one = damaged(scores, {"exact": 0.0}, *[{"exact": 1.0}] * 19)
    (noticing,) = study(scores, gate("exact", 0.99), [only_one]).operators[0].noticing
    drawn = {share: sum(draw.fails for draw in draws) for share, draws in noticing.draws.items()}
    assert 4 <= drawn[0.5] <= 16
    assert drawn[1.0] == 20
    assert noticing.share == 1.0


def test_a_larger_share_of_a_draw_contains_the_smaller_one() -> None:
    # Each answer loses a power of two, so the mean tells which answers were drawn.
    scores = scored([{"free": 0.0}] * 16)
    each = damaged(scores, *[{"free": -float(2**place)} for place in range(16)])
    (noticing,) = study(scores, gate("free", -1e9), [each]).operators[0].noticing
    drawn = {share: [round(-(draw.value or 0) * 16) for draw in draws] for share, draws in noticing.draws.items()}
    assert [[each.bit_count() for each in drawn[share]] for share in SHARES] == [[count] * 20 for count in (1, 2, 4, 8, 16)]
    for smaller, larger in itertools.pairwise(SHARES):
        assert all(few & many == few for few, many in zip(drawn[smaller], drawn[larger], strict=True))
    assert len(set(drawn[0.5])) > 15


def test_the_share_that_a_suite_asks_for_is_tried_too() -> None:
    scores, worse = alike(1.0, 0.0, 20)
    found = study(scores, gate("exact", 0.7), worse, noticed_at=0.35)
    assert shares(found) == [0.35]
    assert [each.operator for each in found.noticed] == ["op"]


def test_the_same_scores_give_the_same_study() -> None:
    assert six_study() == six_study()


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
    rouge = [msgspec.structs.replace(one, scores={"rouge1": 1.0}) for one in UNDAMAGED.predictions]
    scores = msgspec.structs.replace(UNDAMAGED, predictions=rouge)
    found = mutate_model(scores, gate("rouge1", 1.0), [BUILT_IN["swap_names"]], rescored, 0.25)
    assert found.study.as_result() == {"swap_names": {"applies_to": 3, "rouge1": None}}
