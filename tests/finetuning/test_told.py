"""What a host says of a job is compared with what was asked for: told, cancelled while it is free, held against the budget."""

import math
from typing import Any

import pytest
from evaltape.finetuning.recorded_job import read_job
from evaltape.recorder.tuning.matching import is_same_model
from evaltape.recorder.tuning.states import State

from tests.support.server import ApiServer, Reply
from tests.support.tuning import TuningProject

GO_ON = "pytest evals -m finetuned --record-missing"
RETRAIN = "pytest evals -m finetuned --record --retrain (costs 1 fine-tuning job, 6 calls)"
PRICE = "price = { training = 100, input = 1, output = 1 }\npoll_seconds"


@pytest.mark.parametrize(
    ("asked", "told", "same"),
    [
        ("small-2026-01-01", "SMALL-2026-01-01", True),
        ("gpt-4.1-mini", "gpt-4.1-mini-2025-04-14", True),
        ("gpt-4.1-mini-2025-04-14", "gpt-4.1-mini", True),
        ("gemini-2.5-flash", "publishers/google/models/gemini-2.5-flash@001", True),
        ("llama-v3p1-8b", "accounts/fireworks/models/llama-v3p1-8b", True),
        ("Ministral-3B", "ministral-3b", True),
        ("gpt-3.5-turbo-0125", "gpt-35-turbo", True),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-08-06", False),
        ("gpt-4.1", "gpt-4.1-mini", False),
        ("llama-3.1-8b", "llama-3.1-70b", False),
    ],
)
def test_a_base_is_the_same_in_any_spelling_and_another_under_another_name(asked: str, told: str, same: bool) -> None:
    assert is_same_model(asked, told) is same


def test_epochs_of_the_hosts_own_are_cancelled_before_they_cost_and_can_be_paid_for_on_purpose(
    tuning: TuningProject, api: ApiServer
) -> None:
    tuning.edit_suite("poll_seconds", PRICE)
    api.tuning.quirks.reads = "top"  # We write them within `method`, so this host trains 3 epochs, and says so.
    driven = tuning.drive(budget_usd=10)
    why = "n_epochs 3, asked for 1"
    wanted = (
        "[finetune.tuned] ftjob-0002 was cancelled before its training, nothing is paid: the API would train otherwise than asked "
        f"({why}), which can cost more. Ask for it in the suite, or pay for a job with these differences: {RETRAIN}"
    )
    assert (driven.state, driven.error) == (State.ENDED, wanted)
    assert driven.notes[-1] == f"tuned: ftjob-0002: the API states {why}"
    assert (driven.recorder.budget.spend.usd, driven.recorder.budget.committed_usd, api.tuning.paid) == (0, 0, [])
    assert (tuning.drive(budget_usd=10).error, len(tuning.job_ids)) == (wanted, 1)
    # On purpose, with the difference known: held for three epochs, and recorded as trained.
    most = tuning.jobs().prepare("tuned").most_tokens() * 100 / 1e6
    assert tuning.drive(retrain=True, budget_usd=0.5 * most).state is State.STOPPED
    api.tuning.trained_tokens = None
    driven = tuning.drive(retrain=True, budget_usd=4 * most)
    assert driven.error is None
    assert driven.recorder.budget.spend.perhaps_usd == pytest.approx(3 * most)
    job = read_job(tuning.job_cassette)
    assert (job.trained["n_epochs"], job.differences) == (3, (why,))
    assert (api.tuning.paid, len(tuning.job_ids)) == (["ftjob-0003"], 2)


def test_what_costs_no_more_is_told_and_goes_on(tuning: TuningProject, api: ApiServer) -> None:
    tuning.edit_suite("poll_seconds", PRICE)
    api.tuning.quirks.own_seed = 99
    driven = tuning.drive(budget_usd=10)
    assert driven.error is None
    assert driven.notes[-1] == "tuned: ftjob-0002: the API states seed 99, asked for 7"
    assert read_job(tuning.job_cassette).differences == ("seed 99, asked for 7",)


def test_a_job_that_trains_already_is_not_cancelled_and_passes_the_budget_with_a_note(
    tuning: TuningProject, api: ApiServer
) -> None:
    tuning.edit_suite("poll_seconds", PRICE)
    api.tuning.quirks.reads, api.tuning.states = "top", ("running", "running", "succeeded")
    most = tuning.jobs().prepare("tuned").most_tokens() * 100 / 1e6
    api.tuning.trained_tokens = None
    driven = tuning.drive(budget_usd=1.5 * most)
    assert driven.error is None
    assert driven.notes[2:4] == [
        "tuned: ftjob-0002 is running already and goes on: cancel it at the API if you don't want it",
        f"tuned: ftjob-0002 can cost up to ${3 * most:.4f} by what the API says, which passes the budget",
    ]
    assert driven.recorder.budget.spend.perhaps_usd == pytest.approx(3 * most)


def test_epochs_left_to_the_api_are_held_at_their_most_until_it_says_how_many(tuning: TuningProject, api: ApiServer) -> None:
    tuning.edit_suite("poll_seconds", PRICE)
    tuning.edit_suite("n_epochs = 1", 'n_epochs = "auto"')
    per_epoch = tuning.jobs().prepare("tuned").most_tokens(1) * 100 / 1e6
    driven = tuning.drive(budget_usd=10 * per_epoch)
    assert f"it can cost up to ${25 * per_epoch:.4f}, more than the budget of " in str(driven.error)
    assert tuning.job_ids == []
    assert tuning.drive(budget_usd=26 * per_epoch).error is None


@pytest.mark.parametrize(("tokens", "spent"), [(None, 0), (700, 700 * 100 / 1e6)])
def test_a_job_that_is_cancelled_while_it_trains_counts_for_the_tokens_it_tells_or_for_its_most(
    tuning: TuningProject, api: ApiServer, tokens: int | None, spent: float
) -> None:
    tuning.edit_suite("poll_seconds", PRICE)
    api.tuning.states = ("queued", "running", "running", "cancelled")
    most = tuning.jobs().prepare("tuned").most_tokens() * 100 / 1e6

    def cancelled(asked: Any) -> Reply:
        job = api.tuning.jobs["ftjob-0002"]
        return Reply({**job.body, "status": "cancelled", "trained_tokens": tokens})

    api.fault(cancelled, "", "/ftjob-0002", "GET", after=2, times=math.inf)
    spend = tuning.drive(budget_usd=10).recorder.budget.spend
    assert (spend.usd, spend.perhaps_usd) == (pytest.approx(spent), pytest.approx(0 if tokens else most))
