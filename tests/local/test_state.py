"""The state folder: what outlives the process, and what is refused."""

import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.support.local_service import NEEDS_EXTRA

pytestmark = NEEDS_EXTRA
HOUR_S = 3600


class Clock:
    """A time that passes when a test says so."""

    now_s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder that has been in use."""
    from evaltape.local.state import State

    store = State(tmp_path / "state")
    store.files.add("kept", "fine-tune", [b"{}"])

    def fill() -> None:
        for number in range(500):
            store.add("events", {"id": f"ftevent-{number}", "message": "x" * 300}, "ftjob-1")

    store.write(fill)
    store.close()
    return store.folder


def serve(*options: str) -> int:
    from evaltape.cli.serve import main

    return main(["--model", "m", "--port", "0", *options])


def message(capsys: pytest.CaptureFixture[str]) -> str:
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert len(error.splitlines()) == 1
    return error


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVALTAPE_LOCAL_KEY", raising=False)


# ---------------------------------------------------------------- damage


@pytest.mark.parametrize("seed", range(5))
def test_a_database_damaged_in_the_middle_is_one_message(state: Path, capsys: pytest.CaptureFixture[str], seed: int) -> None:
    path = state / "state.db"
    content = bytearray(path.read_bytes())
    start = 4096 * random.Random(seed).randrange(3, len(content) // 4096)
    content[start : start + 4096] = random.Random(seed).randbytes(4096)
    path.write_bytes(content)
    assert serve("--state", str(state)) == 4
    error = message(capsys)
    assert f"{path}: not a database of this service, or damaged (" in error
    assert f"uploaded files stay in {state / 'files'}, tuned models in {state / 'models'}" in error
    assert list((state / "files").iterdir()), "what the database no longer names is not removed"


@pytest.mark.parametrize(
    "body", ["'{half'", "'[]'", '\'{"id": "another"}\'', "x'ff'", "''"], ids=["half", "a list", "another", "no text", "empty"]
)
def test_a_row_that_is_not_what_was_stored_is_one_message(state: Path, capsys: pytest.CaptureFixture[str], body: str) -> None:
    database = sqlite3.connect(state / "state.db")
    database.execute(f"UPDATE events SET body = {body} WHERE id = 'ftevent-7'")
    database.commit()
    database.close()
    assert serve("--state", str(state)) == 4
    assert "table events, row ftevent-7: not what was stored" in message(capsys)


def test_a_file_that_is_no_database_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "state.db").write_text("notes of mine, " * 100)
    assert serve("--state", str(tmp_path)) == 4
    assert "not a database of this service, or damaged (file is not a database)" in message(capsys)


@pytest.mark.parametrize("name", ["files", "models", "jobs"])
def test_a_folder_of_something_else_is_refused_and_nothing_in_it_is_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "thesis.txt").write_text("mine")
    assert serve("--state", str(tmp_path)) == 4
    assert f"not a state folder of this service: it has '{name}', but no state.db" in message(capsys)
    assert [path.name for path in tmp_path.rglob("*")] == [name, "thesis.txt"]


def test_a_second_service_on_the_folder_is_refused_and_the_first_is_not_disturbed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from evaltape.local.state import State

    store = State(tmp_path)
    for _ in range(2):
        assert serve("--state", str(tmp_path)) == 4
        assert "another service is using it" in message(capsys)
    store.close()
    State(tmp_path).close()


# ---------------------------------------------------------------- rows and files


def test_what_no_row_names_is_removed_at_the_next_start(tmp_path: Path) -> None:
    from evaltape.local.state import State

    store = State(tmp_path)
    kept = store.files.add("kept", "fine-tune", [b"{}"])
    (tmp_path / "files" / "file-half.partial").write_bytes(b"{")
    (tmp_path / "models" / "unknown").mkdir()
    store.close()
    store = State(tmp_path)
    assert [path.name for path in (tmp_path / "files").iterdir()] == [kept["id"]]
    assert not list((tmp_path / "models").iterdir())
    assert store.files.get(kept["id"]) == kept
    store.close()


@pytest.mark.parametrize("value", ["\ud800", float("nan"), float("inf"), {"deep": ["\udfff"]}])
def test_what_no_answer_could_carry_is_not_stored(tmp_path: Path, value: Any) -> None:
    from evaltape.local.state import State

    store = State(tmp_path)
    with pytest.raises(ValueError):
        store.add("jobs", {"id": "ftjob-1", "value": value})
    store.add("jobs", {"id": "ftjob-2", "status": "queued", "value": ""})
    with pytest.raises(ValueError):
        store.change("jobs", "ftjob-2", ["queued"], value=value)
    with pytest.raises(ValueError):
        store.files.add("\ud800", "fine-tune", [b"content"])
    assert store.rows("jobs") == [{"id": "ftjob-2", "status": "queued", "value": ""}]
    assert not list((tmp_path / "files").iterdir())
    store.close()


def test_a_transaction_is_stored_whole_or_not_at_all(tmp_path: Path) -> None:
    from evaltape.local.state import State

    store = State(tmp_path)

    def half() -> None:
        store.add("jobs", {"id": "ftjob-1"})
        store.add("events", {"id": "ftevent-1", "loss": float("nan")})

    with pytest.raises(ValueError):
        store.write(half)
    assert not store.rows("jobs")
    store.close()


def test_a_file_is_gone_once_it_has_expired(tmp_path: Path, clock: Clock) -> None:
    from evaltape.local.state import State

    store = State(tmp_path, clock)
    lasting = store.files.add("lasting", "fine-tune", [b"a"])
    expiring = store.files.add("expiring", "fine-tune", [b"b"], expires_after_s=HOUR_S)
    assert expiring["expires_at"] == expiring["created_at"] + HOUR_S
    clock.now_s += HOUR_S - 1
    assert store.files.get(expiring["id"]) == expiring
    clock.now_s += 1
    assert store.files.get(expiring["id"]) is None
    assert not store.files.delete(expiring["id"])
    assert store.files.all() == [lasting]
    assert [path.name for path in (tmp_path / "files").iterdir()] == [lasting["id"]]
    store.close()


def test_a_file_that_expires_while_no_service_runs_is_gone_at_the_next_start(tmp_path: Path, clock: Clock) -> None:
    from evaltape.local.state import State

    store = State(tmp_path, clock)
    store.files.add("expiring", "fine-tune", [b"b"], expires_after_s=HOUR_S)
    store.close()
    clock.now_s += 2 * HOUR_S
    store = State(tmp_path, clock)
    assert not list((tmp_path / "files").iterdir())
    store.close()
