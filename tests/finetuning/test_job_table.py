"""The table of a job's states: one state pays, every state can be left or ends, and the documentation shows this table."""

import pytest
from evaltape.recorder.api.asking import Patience
from evaltape.recorder.tuning.states import TABLE, ForbiddenStep, State, advance, check_payable

from tests.support.forked import REPOSITORY


def test_every_state_has_a_row_and_one_of_them_pays() -> None:
    assert list(TABLE) == list(State)
    assert [state for state, row in TABLE.items() if row.may_pay] == [State.ORDERING]


def test_only_a_look_or_an_open_order_leads_to_a_payment() -> None:
    assert {state for state, row in TABLE.items() if State.ORDERING in row.next} == {State.LOOKING, State.SENT}


def test_every_state_is_reached_and_leads_to_an_end() -> None:
    reached, ending = {State.LOOKING}, {state for state, row in TABLE.items() if not row.next}
    for _ in State:
        reached |= {following for state in reached for following in TABLE[state].next}
        ending |= {state for state in State if TABLE[state].next & ending}
    assert reached == ending == set(State)


def test_a_step_that_is_not_in_the_table_is_refused() -> None:
    assert advance(State.LOOKING, State.ORDERING) is State.ORDERING
    with pytest.raises(ForbiddenStep, match="no step leads from sent to recorded"):
        advance(State.SENT, State.RECORDED)


@pytest.mark.parametrize("state", [state for state in State if state is not State.ORDERING])
def test_nothing_is_payable_but_in_one_state(state: State) -> None:
    with pytest.raises(ForbiddenStep, match=f"nothing may be paid in the state {state.value}"):
        check_payable(state)
    check_payable(State.ORDERING)


DOCUMENTATION = (REPOSITORY / "docs/fine-tuning.md").read_text(encoding="utf-8")


def test_the_documentation_shows_the_table() -> None:
    paid = {True: "one job", False: "nothing"}
    rows = [f"| {state.value} | {row.known} | {paid[row.may_pay]} | {row.then} |" for state, row in TABLE.items()]
    head = ["| state | what is known | may be paid | what comes next |", "| --- | --- | --- | --- |"]
    assert "\n".join([*head, *rows]) in DOCUMENTATION


def test_the_documented_waits_are_those_of_the_driver() -> None:
    waits, text = Patience(), " ".join(DOCUMENTATION.split())
    assert (waits.look_s, "the listing is read for 90 seconds" in text) == (90, True)
    assert (waits.poll_s, "| for polls that fail | 15 minutes |" in text) == (900, True)
    assert (waits.read_s, "| for questions that fail before an order | a minute |" in text) == (60, True)
    assert (waits.longest_retry_after_s, "(`Retry-After`) | a minute |" in text) == (60, True)
