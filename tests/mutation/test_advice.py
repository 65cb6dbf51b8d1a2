"""What a test of mutants says: which gate comes nearest, and what would notice the damage."""

from collections.abc import Mapping

import pytest
from evaltape.mutation.model_mutants import TestedMutants as Tested
from evaltape.mutation.model_mutants import what_would_notice
from evaltape.mutation.study import Noticing, OperatorStudy, Study
from evaltape.scoring.bounds import AGAINST, MAX_DROP, MIN_GAIN, Bound
from evaltape.suite.definition import Model

from tests.support import decisions
from tests.support.decisions import SHARES, mean_gate, paired, slice_gate

NOTHING: Mapping[Bound, str] = {}
COMPARISON = paired(MIN_GAIN, "rougeL", 0.06, "tuning-helps")


def noticing(gate: Bound, undamaged: float, *values: float, at_least: bool = True) -> Noticing:
    """A gate whose value is the same in all draws of a share: one for each of the shares."""
    return decisions.noticing(gate, undamaged, dict(zip(SHARES, values, strict=True)), at_least)


def advice(*each: Noticing, left_out: Mapping[Bound, str] = NOTHING, at: float = 0.25) -> str:
    operator = OperatorStudy("negate", True, 87, 200, each)
    return what_would_notice(operator, Study(at, (operator,), tuple(one.bound for one in each), left_out))


def test_the_nearest_gate_is_named_with_its_way_and_the_gate_that_would_notice() -> None:
    near = noticing(mean_gate("rougeL", 0.25), 0.30, 0.296, 0.29, 0.28, 0.27, 0.26)
    far = noticing(mean_gate("rouge1", 0.30), 0.40, 0.40, 0.40, 0.39, 0.39, 0.39)
    assert advice(far, near) == (
        "Nearest is rougeL, from 0.3000 to 0.2800, 40% of the way to its bound 0.25: gates = { rougeL = 0.29 } would notice it, "
        "or a metric of your own"
    )


def test_damage_that_hardly_moves_a_gate_takes_a_metric_of_ones_own() -> None:
    barely = noticing(mean_gate("rouge1", 0.22), 0.2359, 0.2359, 0.2357, 0.2350, 0.2340, 0.2330)
    assert advice(barely) == (
        "Nearest is rouge1, from 0.2359 to 0.2350, 6% of the way to its bound 0.22: gates = { rouge1 = 0.2351 } would notice it, "
        "but lies so near the mean that chance fails it too; write a metric that sees it"
    )


def test_numbers_that_differ_late_are_shown_apart() -> None:
    barely = noticing(mean_gate("rouge1", 0.2), 0.23594, 0.23594, 0.23594, 0.23592, 0.23592, 0.23592)
    assert "from 0.23594 to 0.23592, 0% of the way" in advice(barely)


def test_where_nothing_moves_or_all_gates_rise_no_gate_is_proposed() -> None:
    words = "No gate moves towards its bound: write a metric that sees it"
    assert advice(noticing(mean_gate("rouge1", 0.2), 0.3, *[0.3] * 5)) == words
    assert advice(noticing(mean_gate("rouge1", 0.2), 0.3, *[0.4] * 5)) == words


@pytest.mark.parametrize(
    ("gate", "undamaged", "reached", "setting"),
    [
        (COMPARISON, 0.10, 0.08, "min_gain = { rougeL = 0.09 }"),
        (paired(MAX_DROP, "rougeL", 0.05), 0.0, -0.03, "max_drop = { rougeL = 0.02 }"),
        (paired(MAX_DROP, "rougeL", 0.05), 0.05, 0.02, "min_gain = { rougeL = 0.03 }"),
        (paired(AGAINST, "rougeL", 0.05), 0.0, -0.03, "max_drop = { rougeL = 0.02 }"),
        (slice_gate("rougeL", 0.2), 0.4, 0.3, "slice_gates = { rougeL = 0.31 }"),
        (mean_gate("words", 20), 15, 17, "gates = { words = 16.99 }"),
    ],
)
def test_what_is_proposed_is_spelled_as_the_suite_file_spells_it(
    gate: Bound, undamaged: float, reached: float, setting: str
) -> None:
    found = noticing(gate, undamaged, *[reached] * 5, at_least=gate.metric != "words")
    assert f": {setting} would notice it" in advice(found)


def test_a_message_says_how_many_answers_and_which_gate_notices_more() -> None:
    later = noticing(mean_gate("rougeL", 0.25), 0.30, 0.296, 0.29, 0.28, 0.24, 0.2)
    operator = OperatorStudy("negate", True, 87, 200, (later,))
    tested = Tested(Model("small", "chats", "small-1"), operator, Study(0.25, (operator,), (later.bound,)))
    assert not tested.noticed
    assert str(tested).startswith(
        "small negate: no gate notices 25% of the 87 answers that it applies to (22); rougeL notices 50%. Nearest is rougeL, "
    )
    assert Tested(tested.model, operator, Study(0.5, (operator,), (later.bound,))).noticed


def test_without_a_gate_that_can_be_decided_the_reasons_are_named() -> None:
    left = {mean_gate(f"m{n}", 0.5): "2 of 6 samples failed" for n in range(4)}
    assert advice(left_out=left) == (
        "No gate can be decided: m0: 2 of 6 samples failed; m1: 2 of 6 samples failed; m2: 2 of 6 samples failed; and 1 more"
    )
    assert advice() == "There is no gate: set one under gates"
