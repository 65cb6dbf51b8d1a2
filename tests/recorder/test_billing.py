"""What APIs bill, whatever they count: bounds of calls and jobs, and a few of the random sessions of `benchmarks.billing`."""

import json
import resource
import subprocess
import sys
from typing import Any

import pytest
from evaltape.recorder.wire import Ended, Tally, decoded, encoded
from evaltape.recording.cassettes import is_same
from evaltape.samples.sample import Failure
from evaltape.suite.cost import MOST_USD, Billed, call_usd, most_epochs, most_tokens, read_usage
from evaltape.suite.endpoint import Price

from tests.support.billing import Till, shorten_waits
from tests.support.server import ApiServer
from tests.support.tuning import TuningProject

SEEDS = (3, 9, 14, 21)


def test_no_bill_passes_its_budget_and_nothing_billed_is_lost(
    tuning: TuningProject, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten_waits(monkeypatch)
    till = Till(tuning, api)
    for seed in SEEDS:
        till.play(seed)
    assert till.bills.recorded > 0


@pytest.mark.parametrize(
    ("usage", "has_text", "read"),
    [
        ({"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}, True, Billed(20, 5, True)),
        ({"prompt_tokens": 20, "completion_tokens": 5}, True, Billed(20, 5, True)),
        ({"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 2025}, True, Billed(20, 2005, True)),
        (
            {"prompt_tokens": 20, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 2000}},
            True,
            Billed(20, 2005, True),
        ),
        (
            {
                "prompt_tokens": 20,
                "completion_tokens": 2005,
                "total_tokens": 2025,
                "completion_tokens_details": {"reasoning_tokens": 2000},
            },
            True,
            Billed(20, 2005, True),
        ),
        ({"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 9}, True, Billed(20, 5, False)),
        ({"prompt_tokens": 20, "completion_tokens": 0, "total_tokens": 20}, True, Billed(20, 0, False)),
        ({"prompt_tokens": 20, "completion_tokens": 0, "total_tokens": 20}, False, Billed(20, 0, True)),
        ({"prompt_tokens": None, "completion_tokens": None}, True, Billed()),
        ({"prompt_tokens": -1, "completion_tokens": 5}, True, Billed()),
        ({"prompt_tokens": 20, "completion_tokens": 10**400}, True, Billed()),
        ({"prompt_tokens": 20, "completion_tokens": float("inf")}, True, Billed()),
        (None, True, Billed()),
        ([], True, Billed()),
    ],
    ids=str,
)
def test_output_is_the_most_that_any_count_implies(usage: Any, has_text: bool, read: Billed) -> None:
    assert read_usage(usage, has_text) == read


@pytest.mark.parametrize(
    ("asked", "rows", "most"), [(2, 10, 2), (None, 10, 25), ("auto", 33, 25), ("auto", 34, 3), (None, 5000, 3)]
)
def test_epochs_left_to_the_api_count_as_the_most_that_it_chooses(asked: object, rows: int, most: int) -> None:
    assert most_epochs(asked, rows) == most


def test_a_cost_that_overflows_stays_finite() -> None:
    assert call_usd(Price(1e308, 1e308), 10**400, 10**400) == MOST_USD
    assert call_usd(Price(0.15, 0.60), 1_000_000, 1_000_000) == pytest.approx(0.75)


def test_a_bound_of_a_prompt_has_room_for_chat_templates() -> None:
    body = {"messages": [{"role": "system", "content": ""}, {"role": "user", "content": "hi"}], "max_tokens": 1}
    assert most_tokens(body)[0] >= 2 * 70 + 2


def test_messages_between_processes_keep_half_a_character() -> None:
    message = Ended([(("chats", "small", "s1"), Failure("call", "HTTP 400: \ud83d"))])
    line = encoded(message)
    assert line.isascii()
    assert decoded(line) == message
    tally = Tally(notes=["\udcff"])
    assert decoded(json.dumps(json.loads(encoded(tally)))) == tally


def test_in_flight_is_what_the_process_may_open() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (100, {hard}));"
        "from evaltape.recorder.throttle import most_in_flight; print(most_in_flight(400))"
    )
    done = [
        subprocess.run([sys.executable, "-c", code.format(hard=limit)], capture_output=True, text=True, check=True).stdout
        for limit in (256, hard)
    ]
    assert done == ["192\n", "400\n"]


def test_a_number_is_the_same_in_any_spelling() -> None:
    assert is_same({"temperature": 0.0, "n": [1, {"top_p": 1.0}]}, {"n": [1.0, {"top_p": 1}], "temperature": 0})
    assert not is_same({"temperature": 0.5}, {"temperature": 0})
    assert not is_same({"stream": True}, {"stream": 1})
