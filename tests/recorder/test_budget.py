"""`--budget`: over all workers and models together, never passed by more than what is in flight, and easy to go on from."""

import re
import shlex

import pytest

from tests.support.server import completion

PRICE = "price = { input = 1000.0, output = 1000.0 }\n"
OTHER = f"""
[models.other]
model = "other-2026-01-01"
base_url = "BASE_URL"
{PRICE}"""
# A call of 20 prompt bytes and 10 answer tokens at most; a word costs a tenth of a cent.
ROWS = [{"id": f"s{n}", "dialogue": f"Ann: number {n} is out\nBob: ok", "summary": f"number {n} is out"} for n in range(20)]


@pytest.fixture
def priced(project):
    """A project of twenty samples, whose model has a price and whose answers have a limit."""
    project.write_rows(ROWS)
    project.edit_suite("temperature = 0", "temperature = 0\nmax_completion_tokens = 10")
    project.extend_suite(PRICE)
    return project


def spent_usd(api):
    """What the server would charge."""
    replies = [completion(asked.json, f"Ann: number {0} is out").body["usage"] for asked in api.asked() if asked.status == 200]
    return sum(usage["total_tokens"] for usage in replies) / 1000


def test_the_stop_is_clean_what_was_paid_for_is_kept_and_the_message_says_how_to_go_on(priced, api, workers):
    run = priced.run("evals", "--record", "--budget", "0.15", "--concurrency", "2", workers)
    assert run.exit_code == 2
    assert 0 < api.answered < 20
    assert spent_usd(api) <= 0.15
    assert len(priced.recorded()) == api.answered
    assert "FAILED" not in run.output
    assert "0.3            not checked\n" in run.output
    assert "Traceback" not in run.output
    assert "the budget of $0.15 can't bear a further call ($0." in run.output
    assert f"Spent in this session: ${spent_usd(api):.4f} of a budget of $0.15.\n" in run.output
    left = 20 - api.answered
    assert re.search(rf"\n{left} calls left, which can cost up to \$[\d.]+\. Go on:\n +pytest evals -m baseline", run.output)


def test_the_command_that_goes_on_finishes_the_recording(priced, api):
    run = priced.run("evals", "--record", "--budget", "0.15")
    paid = api.answered
    command = re.search(r"^ *pytest (.* --budget .*)$", run.output, re.MULTILINE)
    again = priced.run(*shlex.split(command[1]), "--snapshot-update")
    again.assert_outcomes(passed=22)
    assert api.answered == 20
    assert paid < 20


def test_all_models_share_the_budget(priced, api):
    priced.extend_suite(OTHER)
    run = priced.run("evals", "--record", "--budget", "0.2", "-n 2")
    assert run.exit_code == 2
    assert spent_usd(api) <= 0.2
    assert len(priced.recorded()) + len(priced.recorded("other")) == api.answered
    assert {asked.json["model"] for asked in api.asked()} == {"small-2026-01-01", "other-2026-01-01"}


def test_a_budget_too_small_for_one_call_says_what_it_takes(priced, api):
    run = priced.run("evals", "--record", "--budget", "0.001")
    assert run.exit_code == 2
    assert api.calls == 0
    assert re.search(r"\n20 calls left, which can cost up to \$[\d.]+\. Go on:\n", run.output)


def test_a_budget_that_suffices_changes_nothing(priced, api):
    run = priced.run("evals", "--record", "--budget", "1000", "--snapshot-update")
    run.assert_outcomes(passed=22)
    assert api.answered == 20


def test_an_api_that_tells_no_tokens_is_bounded_by_what_calls_can_cost(priced, api):
    def untold(asked):
        reply = completion(asked, "fine")
        del reply.body["usage"]
        return reply

    api.fault(untold, times=100)
    assert priced.run("evals", "--record", "--budget", "0.5").exit_code == 2
    assert 0 < api.answered < 10


def test_a_budget_that_bounds_nothing_is_refused(project, api):
    project.run("evals", "--record", "--budget", "1").assert_refused("--budget 1 bounds nothing", "no price of small")
    assert api.requests == []


def test_a_budget_that_bounds_some_models_says_which_it_does_not(project):
    project.extend_suite(OTHER)
    run = project.run("evals", "--record", "--budget", "100", "--snapshot-update")
    assert "The budget does not bound small: the suite states no price." in run.output


def test_a_budget_needs_a_recording_to_bound(project):
    project.run("evals", "--budget", "1").assert_refused("add --record or --record-missing")
    project.run("evals", "--record", "--budget", "0").assert_refused("an amount of USD over 0")
