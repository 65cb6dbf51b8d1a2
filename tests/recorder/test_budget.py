"""`--budget`: a bound on what a session can have cost, whatever becomes of its calls, and easy to go on from."""

import asyncio
import math
import re
import shlex
import time
from typing import Any

import pytest
from evaltape.errors import UserError
from evaltape.recorder import loop, throttle
from evaltape.recorder.api import failures
from evaltape.recorder.budget import Budget, Hold, OverBudget
from evaltape.recorder.wire import Spend
from evaltape.suite.cost import answer_limit, most_tokens
from evaltape.suite.endpoint import Price
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.support.options import settings_of
from tests.support.project import Project, Run
from tests.support.recording import SAMPLES, Recording, recorder_here
from tests.support.server import ApiServer, Reply, completion
from tests.support.tuning import TuningProject

PRICE = "price = { input = 1000.0, output = 1000.0 }\n"
OTHER = f"""
[models.other]
model = "other-2026-01-01"
base_url = "BASE_URL"
{PRICE}"""
# A call of 20 prompt bytes and 10 answer tokens at most; a word costs a tenth of a cent.
ROWS = [{"id": f"s{n}", "dialogue": f"Ann: number {n} is out\nBob: ok", "summary": f"number {n} is out"} for n in range(20)]
ELSEWHERE = "http://api.example.invalid/v1"


@pytest.fixture
def priced(project: Project) -> Project:
    """A project of twenty samples, whose model has a price and whose answers have a limit."""
    project.write_rows(ROWS)
    project.edit_suite("temperature = 0", "temperature = 0\nmax_completion_tokens = 10")
    project.extend_suite(PRICE)
    return project


def record(project: Project, *args: str) -> Run:
    return project.run("evals", "--record", *args)


def spent_usd(api: ApiServer) -> float:
    """What the server would charge for its answers."""
    replies = [completion(asked.json, f"Ann: number {0} is out").body["usage"] for asked in api.asked() if asked.status == 200]
    return sum(usage["total_tokens"] for usage in replies) / 1000


def most_usd(project: Project, api: ApiServer) -> float:
    """What one call can cost at most."""
    return sum(most_tokens(api.asked()[0].json)) / 1000


# ---------------------------------------------------------------- a budget that is reached


def test_the_stop_is_clean_what_was_paid_for_is_kept_and_the_message_says_how_to_go_on(
    priced: Project, api: ApiServer, workers: str
) -> None:
    run = record(priced, "--budget", "0.15", "--concurrency", "2", workers)
    assert run.exit_code == 2
    assert 0 < api.answered < 20
    assert spent_usd(api) <= 0.15
    assert len(priced.recorded()) == api.answered
    assert "FAILED" not in run.output
    assert "0.3            not checked\n" in run.output
    assert "Traceback" not in run.output
    assert f"the budget of $0.15 doesn't cover another call (${spent_usd(api):.4f} spent)" in " ".join(run.output.split())
    assert f"Spent in this session: ${spent_usd(api):.4f} of a budget of $0.15.\n" in run.output
    left = 20 - api.answered
    assert re.search(rf"\n{left} calls left, which can cost up to \$[\d.]+\. Go on:\n +pytest evals -m baseline", run.output)


def test_the_command_that_goes_on_finishes_the_recording(priced: Project, api: ApiServer) -> None:
    run = record(priced, "--budget", "0.15")
    paid = api.answered
    command = re.search(r"^ *pytest (.* --budget .*)$", run.output, re.MULTILINE)
    assert command is not None
    again = priced.run(*shlex.split(command[1]), "--snapshot-update")
    again.assert_outcomes(passed=22)
    assert api.answered == 20
    assert paid < 20


def test_a_budget_too_small_for_one_call_says_what_it_takes(priced: Project, api: ApiServer) -> None:
    run = record(priced, "--budget", "0.001")
    assert run.exit_code == 2
    assert api.calls == 0
    assert re.search(r"\n20 calls left, which can cost up to \$[\d.]+\. Go on:\n", run.output)


def test_a_budget_that_suffices_changes_nothing(priced: Project, api: ApiServer) -> None:
    recorder = recorder_here(priced, "--record", "--budget", "1000")
    assert (len(priced.recorded()), recorder.errors(), recorder.tally.stopped, recorder.tally.notes) == (20, {}, None, [])
    assert api.answered == 20


# ---------------------------------------------------------------- calls that may have been billed


@pytest.fixture
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits are short, and after a refusal the pace is soon high again."""
    monkeypatch.setattr(failures, "FIRST_BACKOFF_S", 0.005)
    monkeypatch.setattr(failures, "UNREACHED_S", 0.2)
    monkeypatch.setattr(throttle, "PACE_PLATEAU", 100.0)


def bounded(tuning: TuningProject, budget_usd: float) -> Recording:
    """A recording under a budget, of a model whose token costs a tenth of a cent and whose answers have ten at most."""
    made = Recording(tuning, budget_usd=budget_usd)
    made.add(price=Price(1000.0, 1000.0), request={"max_completion_tokens": 10})
    return made


def call_usd(api: ApiServer) -> float:
    """What one call can cost at most, by the longest of the prompts that were asked."""
    return max(sum(most_tokens(asked.json)) for asked in api.asked()) / 1000


@pytest.mark.usefixtures("brisk")
@pytest.mark.parametrize("fault", ["reset", "cut", "500", "html error"])
def test_what_broke_off_counts_for_its_most_so_that_attempts_never_pass_the_budget(
    tuning: TuningProject, api: ApiServer, fault: str
) -> None:
    api.fault(fault, times=math.inf)
    recorder = bounded(tuning, 0.8).run().recorder
    spend = recorder.tally.spend
    assert 0 < api.calls * call_usd(api) <= 0.8 + call_usd(api) / 10
    assert spend.broke_off == api.calls
    assert spend.perhaps_usd == pytest.approx(api.calls * call_usd(api), rel=0.05)
    told = f"$0.00 spent, perhaps ${spend.perhaps_usd:.4f} more: {api.calls} calls broke off"
    assert told in (recorder.tally.stopped or "")


def test_a_recording_that_the_budget_stops_ends_at_once(
    tuning: TuningProject, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "TICK_S", 60.0)
    started = time.monotonic()
    assert bounded(tuning, 0.001).run().recorder.tally.stopped is not None
    assert time.monotonic() - started < 30
    assert api.calls == 0


@pytest.mark.usefixtures("brisk")
def test_all_models_share_the_budget(tuning: TuningProject, api: ApiServer) -> None:
    recording = bounded(tuning, 0.5)
    recording.add("other", price=Price(1000.0, 1000.0), request={"max_completion_tokens": 10}, served="other-2026-01-01")
    recorder = recording.run().recorder
    assert recorder.tally.stopped is not None
    assert 0 < recorder.tally.spend.usd <= 0.5
    assert len(recording.recorded("small")) + len(recording.recorded("other")) == api.answered
    assert {asked.json["model"] for asked in api.asked()} == {"small-2026-01-01", "other-2026-01-01"}


@pytest.mark.usefixtures("brisk")
def test_an_api_that_tells_no_tokens_is_bounded_by_what_calls_can_cost(tuning: TuningProject, api: ApiServer) -> None:
    def untold(asked: dict[str, Any]) -> Reply:
        reply = completion(asked, "fine")
        del reply.body["usage"]
        return reply

    api.fault(untold, times=math.inf)
    recording = bounded(tuning, 0.8)
    spend = recording.run().recorder.tally.spend
    assert len(recording.recorded()) == api.answered == spend.uncounted > 0
    assert 0.8 - call_usd(api) <= spend.perhaps_usd <= 0.8


@pytest.mark.usefixtures("brisk")
def test_an_answer_that_is_none_may_have_been_billed(tuning: TuningProject, api: ApiServer) -> None:
    api.fault("not a completion", match="number 7 ")
    spend = bounded(tuning, 100.0).run().recorder.tally.spend
    assert (spend.broke_off, spend.doubts) == (1, "1 call broke off")
    assert spend.perhaps_usd == pytest.approx(call_usd(api), rel=0.05)


@pytest.mark.usefixtures("brisk")
@pytest.mark.parametrize("fault", ["400", "404", "429 at once", "nothing there"])
def test_what_was_refused_or_never_sent_costs_nothing(tuning: TuningProject, api: ApiServer, fault: str) -> None:
    if fault == "nothing there":
        api.stop()
    else:
        api.fault(fault, times=4)
    recorder = bounded(tuning, 1.0).run().recorder
    assert recorder.tally.spend.perhaps_usd == 0.0
    assert recorder.tally.stopped is None
    assert api.answered == (0 if fault == "nothing there" else SAMPLES if fault == "429 at once" else SAMPLES - 4)


@pytest.mark.usefixtures("brisk")
def test_an_answer_that_costs_more_than_its_request_allows_is_noted_and_learned_from(
    tuning: TuningProject, api: ApiServer
) -> None:
    def dear(asked: dict[str, Any]) -> Reply:
        reply = completion(asked, "fine")
        reply.body["usage"].update(completion_tokens=400, total_tokens=400 + reply.body["usage"]["prompt_tokens"])
        return reply

    api.fault(dear, times=math.inf)
    recorder = bounded(tuning, 1.0).run().recorder
    assert api.answered == 2
    assert recorder.tally.stopped is not None
    (note,) = recorder.tally.notes
    assert note.startswith("small: an answer cost more than its request allows; the budget may be passed by as much")


# ---------------------------------------------------------------- budgets that bound nothing


@pytest.fixture
def elsewhere(project: Project) -> Project:
    """A project whose model is served on another machine, where nothing is ever asked."""
    project.edit_suite(f'base_url = "{project.base_url}"', f'base_url = "{ELSEWHERE}"')
    return project


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    """The key of the session."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-session-key-0123456789")
    return "sk-session-key-0123456789"


def refused(project: Project, *texts: str) -> None:
    with pytest.raises(UserError) as error:
        recorder_here(project, "--record", "--budget", "2")
    for text in texts:
        assert text in str(error.value)
    assert not (project.cassettes / "small").exists()


def test_a_budget_without_a_price_is_refused(elsewhere: Project, key: str) -> None:
    told = "chats.toml: [models.small] price is missing, so --budget 2 can't bound what it costs; it takes USD"
    refused(elsewhere, told)
    elsewhere.run("evals", "--record", "--budget", "2", key=key).assert_refused(told)
    assert not (elsewhere.cassettes / "small").exists()


@pytest.mark.usefixtures("key")
def test_a_budget_without_a_bound_on_answers_is_refused(elsewhere: Project) -> None:
    elsewhere.extend_suite(PRICE)
    refused(
        elsewhere,
        "[models.small] request sets no bound on the length of an answer, so --budget 2 can't bound what it costs; "
        "set max_completion_tokens (or max_tokens) there or under [request]",
    )


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("limit", ["max_tokens = -1", 'max_tokens = "10"', "max_completion_tokens = true"])
def test_a_limit_that_is_none_bounds_nothing(elsewhere: Project, limit: str) -> None:
    elsewhere.extend_suite(PRICE)
    elsewhere.edit_suite("temperature = 0", f"temperature = 0\n{limit}")
    refused(elsewhere, "sets no bound on the length of an answer")


@pytest.mark.usefixtures("key")
def test_one_model_that_can_not_be_bounded_refuses_the_whole_recording(priced: Project, api: ApiServer) -> None:
    priced.extend_suite(OTHER.replace("BASE_URL", ELSEWHERE).replace(PRICE, 'api_key_env = "HOME"\n'))
    refused(priced, "[models.other] price is missing")
    assert api.calls == 0


def test_where_nothing_is_missing_there_is_nothing_to_bound(recorded: Project, key: str) -> None:
    recorded.edit_suite(f'base_url = "{recorded.base_url}"', f'base_url = "{ELSEWHERE}"')
    run = recorded.run("evals", "-m", "baseline", "--record-missing", "--budget", "2", key=key)
    run.assert_outcomes(passed=8)


def test_a_server_on_this_machine_costs_nothing_without_a_price(project: Project, api: ApiServer) -> None:
    recorder = recorder_here(project, "--record", "--budget", "0.01")
    assert (recorder.errors(), recorder.tally.stopped) == ({}, None)
    assert len(project.recorded()) == api.answered == 6


def test_a_job_without_a_price_is_refused(tuning: Project, api: ApiServer, key: str) -> None:
    tuning.edit_suite(f'base_url = "{tuning.base_url}"', f'base_url = "{ELSEWHERE}"')
    run = tuning.run("evals", "-m", "finetuned", "--record", "--budget", "2", key=key)
    run.assert_refused("[finetune.tuned] price is missing, so --budget 2 can't", "price = { training = 3.00, input")
    assert api.requests == []


def test_a_budget_needs_a_recording_to_bound(project: Project) -> None:
    with pytest.raises(UserError, match="add --record or --record-missing"):
        settings_of(project.root, "evals", "--budget", "1")
    with pytest.raises(UserError, match="an amount of USD over 0"):
        settings_of(project.root, "evals", "--record", "--budget", "0")


# ---------------------------------------------------------------- the bound itself

AMOUNTS = st.floats(0, 100) | st.sampled_from([0.0, 0.1, 1.0])


class Session(RuleBasedStateMachine):
    """Calls that start as the budget allows, and end in every order and way; some that were in doubt are cleared up."""

    def __init__(self) -> None:
        super().__init__()
        self.budget = Budget(100.0)
        self.under_way: list[Hold] = []
        self.in_doubt: list[tuple[Hold, float]] = []
        self.truth_usd = 0.0

    @rule(most=AMOUNTS)
    def start(self, most: float) -> None:
        hold = self.budget.hold(most)
        if hold is not None:
            self.under_way.append(hold)

    def take(self, data: st.DataObject) -> Hold:
        return self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), share=st.floats(0, 1))
    def answer(self, data: st.DataObject, share: float) -> None:
        hold = self.take(data)
        hold.settle(hold.most_usd * share)
        self.truth_usd += hold.most_usd * share

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def answer_without_a_cost(self, data: st.DataObject) -> None:
        hold = self.take(data)
        hold.settle(None)
        self.truth_usd += hold.most_usd

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), billed=st.booleans())
    def break_off(self, data: st.DataObject, billed: bool) -> None:
        with self.take(data) as hold:
            pass
        self.in_doubt.append((hold, hold.most_usd if billed else 0.0))
        self.truth_usd += self.in_doubt[-1][1]

    @precondition(lambda self: self.in_doubt)
    @rule()
    def clear_up(self) -> None:
        hold, billed_usd = self.in_doubt.pop()
        hold.settle(billed_usd) if billed_usd else hold.release()

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def refuse(self, data: st.DataObject) -> None:
        self.take(data).release()

    @invariant()
    def nothing_passes_the_limit(self) -> None:
        tolerance = 1e-9
        assert self.budget.committed_usd <= 100 + tolerance
        assert self.truth_usd + sum(hold.most_usd for hold in self.under_way) <= self.budget.committed_usd + tolerance

    @invariant()
    def what_is_held_is_what_is_under_way(self) -> None:
        assert len(self.budget.holds) == len(self.under_way)
        assert self.budget.held_usd == pytest.approx(math.fsum(hold.most_usd for hold in self.under_way), abs=1e-9)
        assert self.budget.spend.broke_off == len(self.in_doubt)


TestWhateverBecomesOfCalls = Session.TestCase
TestWhateverBecomesOfCalls.settings = settings(max_examples=50, deadline=None)


def test_without_a_limit_all_is_covered_and_counted() -> None:
    budget = Budget()
    hold = budget.hold(1e9)
    assert hold is not None
    hold.doubt()
    assert (budget.spend, budget.held_usd) == (Spend(perhaps_usd=1e9, broke_off=1), 0.0)
    with pytest.raises(AssertionError):
        hold.doubt()
    hold.settle(3.0)
    assert budget.spend == Spend(usd=3.0)


def test_an_order_waits_for_calls_in_flight_and_no_call_starts_before_it() -> None:
    async def session() -> tuple[Budget, Hold]:
        budget = Budget(1.0)
        calls = [budget.hold(0.3) for _ in range(3)]
        assert all(calls)
        order = asyncio.create_task(budget.hold_in_turn(0.8))
        await asyncio.sleep(0)
        assert budget.hold(0.01) is None
        for call in calls:
            assert not order.done()
            call.settle(0.05)
            await asyncio.sleep(0)
        return budget, await order

    budget, order = asyncio.run(session())
    assert (budget.held_usd, order.lasts) == (0.8, True)
    assert budget.hold(0.04) is not None


def test_an_order_that_calls_in_flight_can_not_make_room_for_is_refused_at_once() -> None:
    async def session() -> Budget:
        budget = Budget(1.0)
        training, call = await budget.hold_in_turn(0.5), budget.hold(0.3)
        with pytest.raises(
            OverBudget, match=r"it can cost up to \$0\.6000, more than the budget of \$1 covers: another job may"
        ):
            await budget.hold_in_turn(0.6)
        late = asyncio.create_task(budget.hold_in_turn(0.4))
        await asyncio.sleep(0)
        call.doubt()
        with pytest.raises(OverBudget, match=r"\$0\.3000 perhaps \(1 call broke off\)"):
            await late
        training.release()
        return budget

    assert asyncio.run(session()).committed_usd == 0.3


def test_an_order_that_is_interrupted_while_it_waits_holds_nothing() -> None:
    async def session() -> Budget:
        budget = Budget(1.0)
        call = budget.hold(0.9)
        order = asyncio.create_task(budget.hold_in_turn(0.5))
        await asyncio.sleep(0)
        order.cancel()
        await asyncio.gather(order, return_exceptions=True)
        call.release()
        return budget

    assert asyncio.run(session()).committed_usd == 0.0


@given(st.dictionaries(st.sampled_from(["max_tokens", "max_completion_tokens"]), st.integers(-5, 100)))
def test_of_two_limits_the_larger_counts_and_one_that_is_none_leaves_no_bound(limits: dict[str, int]) -> None:
    bounded = limits and all(limit >= 0 for limit in limits.values())
    assert answer_limit(limits) == (max(limits.values()) if bounded else None)


def test_what_stands_beside_the_messages_is_a_part_of_the_prompt() -> None:
    body = {"messages": [{"role": "user", "content": "hi"}], "temperature": 0}
    tools = [{"type": "function", "function": {"name": "x" * 1000}}]
    assert most_tokens({**body, "tools": tools})[0] - most_tokens(body)[0] > 1000
