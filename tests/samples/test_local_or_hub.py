"""What is local is never asked of the Hub."""

import socket
from pathlib import Path

import pytest
from evaltape.samples.dataset import load_samples, split_file

from tests.support.project import Project
from tests.support.suites import TALK, refusal, suite_in, write_data


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize(
    "path", ["talks.jsonl", "talks.json", "talks.CSV", "data/talks.parquet", "./talks", "../talks", "/talks", "sub/talks"]
)
def test_a_missing_local_file_is_named_at_once(tmp_path: Path, path: str) -> None:
    (tmp_path / "suites/sub").mkdir(parents=True)
    message = refusal(load_samples, suite_in(tmp_path / "suites", path=path))
    assert f"chats.toml: [dataset] {path!r} is not there: looked for " in message
    assert message.endswith("(no such folder or file)")


@pytest.mark.parametrize("path", ["knkarthick/samsum", "squad"])
def test_what_is_no_file_here_is_a_hub_data_set(tmp_path: Path, path: str) -> None:
    suite = suite_in(tmp_path, path=path)
    assert split_file(suite) is None


def test_a_folder_that_exists_is_local_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "knkarthick/samsum").mkdir(parents=True)
    write_data(tmp_path / "knkarthick/samsum/validation.csv", [TALK])
    assert [sample.id for sample in load_samples(suite_in(tmp_path, path="knkarthick/samsum"))[0]] == ["t1"]


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "talks.tsv").write_text("id")
    message = refusal(load_samples, suite_in(tmp_path, path="talks.tsv"))
    assert "[dataset] path = 'talks.tsv' is no file that Evaltape reads: a local data set is a .jsonl, .json, .csv" in message


def test_a_hub_data_set_that_cannot_be_had_is_one_message(project: Project) -> None:
    project.edit_suite("../data/talks.jsonl", "nobody/nothing")
    run = project.run_in_new_interpreter(
        "evals", "-m", "baseline", "--record", environment={"HF_HUB_OFFLINE": "1", "HF_HOME": str(project.root)}
    )
    run.assert_refused(
        "evals/suites/chats.toml: [dataset] path = 'nobody/nothing', split 'validation': the Hub data set can't be loaded: ",
        "a local data set is a .jsonl, .json, .csv or .parquet file, or a folder with one per split",
    )
