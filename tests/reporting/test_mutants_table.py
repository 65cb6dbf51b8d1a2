"""The table of mutants: operators by gates, for a terminal of 80 columns."""

from collections.abc import Mapping

import pytest
from evaltape.mutation.model_mutants import ModelMutants
from evaltape.mutation.study import Noticing, OperatorStudy, Study
from evaltape.reporting.listings import detail_lines, table_lines
from evaltape.scoring.bounds import AGAINST, MIN_GAIN, Bound
from evaltape.text import columns

from tests.support import decisions
from tests.support.decisions import SHARES, mean_gate, paired

NOTHING: Mapping[Bound, str] = {}
ROUGE1, ROUGEL = mean_gate("rouge1", 0.22), mean_gate("rougeL", 0.17)
HELPS = paired(MIN_GAIN, "rougeL", 0.06, "tuning-helps")


def noticing(gate: Bound, share: float | None, undamaged: float = 0.3) -> Noticing:
    """A gate that notices a share and all larger ones."""
    beyond = gate.required - 0.1
    reached = {each: beyond if share is not None and each >= share else undamaged for each in SHARES}
    return decisions.noticing(gate, undamaged, reached)


def operator(name: str, *shares: float | None, gates: tuple[Bound, ...], harmful: bool = True) -> OperatorStudy:
    each = tuple(noticing(gate, share) for gate, share in zip(gates, shares, strict=True)) if shares else ()
    return OperatorStudy(name, harmful, 200 if shares else 0, 200, each)


def mutants(*operators: OperatorStudy, gates: tuple[Bound, ...], left_out: Mapping[Bound, str] = NOTHING) -> ModelMutants:
    return ModelMutants("small", Study(0.25, operators, gates, left_out), {})


def test_operators_stand_by_gates_with_what_is_never_noticed_first() -> None:
    gates = (ROUGE1, ROUGEL, HELPS)
    found = mutants(
        operator("refusal", 0.05, 0.1, 0.25, gates=gates),
        operator("swap_names", None, None, None, gates=gates),
        operator("acme.mutants:wrong_year", None, 0.5, None, gates=gates),
        operator("negate", gates=gates),
        operator("preamble", None, 1.0, None, gates=gates, harmful=False),
        gates=gates,
    )
    assert list(table_lines(found)) == [
        "small: 1 of 3 harmful operators noticed at 25% of the answers",
        "                       gates             tuning-helps",
        "              answers   rouge1   rougeL        rougeL",
        "  undamaged             0.3000   0.3000       +0.3000",
        "  bound                 0.2200   0.1700       +0.0600",
        "harmful",
        "  swap_names      200    never    never         never",
        "  wrong_year      200    never      50%         never",
        "  refusal         200       5%      10%           25%",
        "  negate            0",
        "harmless",
        "  preamble        200    never     100%         never",
    ]


def test_what_follows_is_said_below() -> None:
    left = {ROUGE1: "2 of 6 samples failed", ROUGEL: "2 of 6 samples failed"}
    found = mutants(
        operator("swap_names", None, gates=(HELPS,)),
        operator("preamble", 1.0, gates=(HELPS,), harmful=False),
        gates=(HELPS,),
        left_out=left,
    )
    assert list(detail_lines(found)) == [
        "swap_names: No gate moves towards its bound: write a metric that sees it",
        "Brittle: preamble does no harm, but is noticed by tuning-helps rougeL (100%)",
        "Left out: rouge1, rougeL: 2 of 6 samples failed",
    ]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_gates_that_do_not_fit_follow_in_further_blocks_with_all_operators(width: int) -> None:
    gates = tuple(mean_gate(f"metric-number-{n}", 0.1) for n in range(5))
    gates += tuple(paired(AGAINST, f"rouge{n}", 0.1, "small") for n in range(1, 8))
    names = ["swap_names", "acme.mutants:an_operator_with_a_name_that_is_too_long", "東京:東京東京"]
    found = mutants(*(operator(name, *[None] * 12, gates=gates) for name in names), gates=gates)
    lines = list(table_lines(found, width))
    assert max(map(columns, lines)) <= width
    assert sum(line.count("never") for line in lines) == 12 * 3
    assert all("\\n".join(lines).count(gate.metric) == 1 for gate in gates)


def test_functions_of_one_name_are_shown_with_their_modules() -> None:
    gates = (ROUGE1,)
    found = mutants(operator("a:year", 0.5, gates=gates), operator("b:year", 0.5, gates=gates), gates=gates)
    assert [line.split()[0] for line in table_lines(found)][-2:] == ["a:year", "b:year"]


def test_a_model_without_answers_or_without_gates_is_said_to_be_so() -> None:
    nothing = mutants(OperatorStudy("negate", True, 0, 0, ()), gates=())
    assert list(table_lines(nothing)) == ["small: there is no answer to damage"]
    ungated = mutants(OperatorStudy("negate", True, 6, 6, ()), gates=())
    assert list(table_lines(ungated)) == ["small: no gate that could notice damage"]
    assert list(detail_lines(ungated)) == []


@pytest.mark.parametrize(("value", "shown"), [(0.12345, "0.1235"), (34.5678, "34.568"), (123456.7, "123457")])
def test_numbers_fit_their_column(value: float, shown: str) -> None:
    gate = mean_gate("words", value)
    found = mutants(OperatorStudy("negate", True, 6, 6, (noticing(gate, None, value),)), gates=(gate,))
    assert [line.split() for line in table_lines(found)][3:5] == [["undamaged", shown], ["bound", shown]]
