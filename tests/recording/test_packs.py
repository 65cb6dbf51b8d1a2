"""Packs: the calls of a model in one cassette, made of cassettes and made into them again, without a call or a loss."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from evaltape.errors import NotFetched, NotRecorded, RecordedOtherwise, RecordingError
from evaltape.recording import cassettes
from evaltape.recording.cassettes import Conflicted, Exchange
from evaltape.recording.model_calls import ModelCalls
from evaltape.recording.unfinished import Unfinished, read_unfinished
from evaltape.samples.sample import Sample
from vcr.cassette import Cassette

from tests.support.git import commit, git
from tests.support.project import ROWS, Project
from tests.support.server import ApiServer

NAMES = [f"s{number:02d}" for number in range(20)]


def asked(name: str) -> dict[str, object]:
    return {"model": "m", "messages": [{"role": "user", "content": f"Sum up:\n\n{name}"}], "temperature": 0}


def exchange(name: str, answer: str = "An answer.") -> Exchange:
    said = {"choices": [{"message": {"content": f"{answer} - request:\n- request:\n{name}"}}]}
    return Exchange("POST", "http://h/v1/chat/completions", asked(name), 200, said, latency_s=0.5)


def record(folder: Path, names: list[str], answer: str = "An answer.") -> None:
    for name in names:
        cassettes.write(folder / "m" / f"{name}.yaml", [exchange(name.split(".")[0], answer)])


def answers(folder: Path, names: list[str]) -> list[str]:
    calls = ModelCalls(folder, "m")
    said = [calls.replay(name, asked(name.split(".")[0])).answered for name in names]
    return [body["choices"][0]["message"]["content"].split(" - ")[0] for body in said]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """A folder with a pack of twenty calls."""
    record(tmp_path, NAMES)
    ModelCalls(tmp_path, "m").arrange(NAMES, least=20)
    return tmp_path


# ---------------------------------------------------------------- the two layouts


def test_cassettes_become_a_pack_and_a_pack_cassettes_to_the_byte(tmp_path: Path) -> None:
    record(tmp_path, [*NAMES, "s03.repeat-2", "gone"])
    before = files(tmp_path)
    calls = ModelCalls(tmp_path, "m")
    for samples, least in ((NAMES, 21), ([*NAMES, "s20"], 20)):  # Too few; not whole.
        calls.arrange(samples, least)
        assert files(tmp_path) == before
    calls.arrange(NAMES[::-1], least=20)
    assert list(files(tmp_path)) == ["m.yaml"]
    assert list(calls.names()) == [*NAMES[:3:-1], "s03", "s03.repeat-2", *NAMES[2::-1], "gone"]
    assert answers(tmp_path, [*NAMES, "s03.repeat-2"]) == ["An answer."] * 21
    calls.arrange(NAMES, least=20)
    assert list(calls.names()) == [*NAMES[:4], "s03.repeat-2", *NAMES[4:], "gone"]
    again = files(tmp_path)
    calls.arrange(NAMES, least=20)
    assert files(tmp_path) == again
    calls.arrange(NAMES, least=21)
    assert files(tmp_path) == before


def test_vcrpy_reads_a_pack_and_a_pack_that_vcrpy_wrote_is_read(packed: Path) -> None:
    loaded = Cassette.load(path=str(packed / "m.yaml"))
    assert [json.loads(request.body) for request, _ in loaded.data] == [asked(name) for name in NAMES]
    plain = yaml.safe_load((packed / "m.yaml").read_text())
    for number, interaction in enumerate(plain["interactions"]):
        if number % 2:
            del interaction["response"]["headers"]["x-evaltape-call"]
    (packed / "m.yaml").write_text(yaml.dump(plain))
    assert answers(packed, NAMES) == ["An answer."] * 20
    with pytest.raises(NotRecorded, match=r"s21\.yaml: there is no such recording"):
        ModelCalls(packed, "m").replay("s21", asked("s21"))


def test_a_cassette_beside_the_pack_is_the_newer_call(packed: Path) -> None:
    record(packed, ["s07"], "A newer answer.")
    assert answers(packed, ["s06", "s07"]) == ["An answer.", "A newer answer."]
    calls = ModelCalls(packed, "m")
    assert (calls.place_of("s06"), calls.place_of("s07")) == (f"{packed}/m.yaml (s06)", f"{packed}/m/s07.yaml")
    before = (packed / "m.yaml").read_text().splitlines()
    calls.arrange(NAMES, least=1)
    after = (packed / "m.yaml").read_text().splitlines()
    assert len([line for line, other in zip(before, after, strict=True) if line != other]) == 1
    assert (list(calls.names()), answers(packed, ["s07"])) == (NAMES, ["A newer answer."])


def test_a_pack_that_is_replaced_while_it_is_read_is_looked_through_again(packed: Path) -> None:
    reader = ModelCalls(packed, "m")
    assert reader.read("s19")
    record(packed, ["s00"], "A much longer answer than before, so that everything behind it lies elsewhere.")
    ModelCalls(packed, "m").arrange(NAMES, least=1)
    assert reader.read("s19")[0].asked == asked("s19")
    ModelCalls(packed, "m").arrange(NAMES, least=100)
    assert reader.read("s19")[0].asked == asked("s19")


# ---------------------------------------------------------------- damaged


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        (r"\n\ns05", r"\n\nother", RecordedOtherwise, r"m\.yaml \(s05\): recorded with another prompt"),
        ("string: |-", "string: !!python/object:x", RecordingError, r"m\.yaml \(s05\): not a readable cassette \(ValueError: "),
        ('"code": 200', '"code": 500', RecordingError, r"m\.yaml \(s05\): recorded with HTTP status 500"),
    ],
)
def test_what_is_wrong_with_a_call_is_told_of_that_call(
    packed: Path, old: str, new: str, error: type[RecordingError], message: str
) -> None:
    parts = (packed / "m.yaml").read_text().split("\n- request:")
    assert old in parts[6]
    parts[6] = parts[6].replace(old, new)
    (packed / "m.yaml").write_text("\n- request:".join(parts))
    with pytest.raises(error, match=message):
        ModelCalls(packed, "m").replay("s05", asked("s05"))
    assert answers(packed, ["s04", "s06"]) == ["An answer."] * 2


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda text: text[: len(text) // 5], NotRecorded, r"s05\.yaml: there is no such recording"),
        (lambda text: "version https://git-lfs.github.com/spec/v1\n", NotFetched, r"m\.yaml: a Git LFS pointer"),
        (
            lambda text: f"{text}<<<<<<< ours\n=======\n>>>>>>> theirs\n",
            Conflicted,
            r"m\.yaml: holds the conflict markers of a",
        ),
        (lambda text: "", NotRecorded, "there is no such recording"),
        (lambda text: "- 1\n- 2\n", NotRecorded, "there is no such recording"),
    ],
)
def test_what_is_wrong_with_a_whole_pack_is_told(
    packed: Path, damage: Callable[[str], str], error: type[RecordingError], message: str
) -> None:
    (packed / "m.yaml").write_text(damage((packed / "m.yaml").read_text()))
    with pytest.raises(error, match=message):
        ModelCalls(packed, "m").replay("s05", asked("s05"))


def test_a_fresh_recording_over_a_pack_knows_what_is_still_to_come_and_removes_what_it_makes_obsolete(packed: Path) -> None:
    samples = [Sample(name, name, ("x",)) for name in NAMES[:18]]
    Unfinished.begin(packed, "m", [(sample, 1) for sample in samples], samples)
    record(packed, NAMES[:10], "Another answer.")
    unfinished = read_unfinished(packed, "m")
    assert unfinished is not None
    assert list(unfinished.still_to_come()) == NAMES[10:18]
    unfinished.finish(samples)
    record(packed, NAMES[10:18], "Another answer.")
    unfinished = read_unfinished(packed, "m")
    assert unfinished is not None
    unfinished.finish(samples)
    calls = ModelCalls(packed, "m")
    assert (read_unfinished(packed, "m"), sorted(calls.names())) == (None, NAMES[:18])
    calls.arrange(NAMES[:18], least=18)
    assert list(files(packed)) == ["m.yaml"]
    assert answers(packed, NAMES[:18]) == ["Another answer."] * 18


# ---------------------------------------------------------------- in git


def test_two_branches_that_add_rows_merge_as_text(tmp_path: Path) -> None:
    def commit_calls(message: str, order: list[str]) -> None:
        record(tmp_path, [name for name in order if name not in ModelCalls(tmp_path, "m").names()])
        ModelCalls(tmp_path, "m").arrange(order, least=1)
        commit(tmp_path, message)

    commit_calls("twenty", NAMES)
    git(tmp_path, "switch", "--quiet", "--create", "one")
    commit_calls("one", [*NAMES[:3], "one", *NAMES[3:]])
    git(tmp_path, "switch", "--quiet", "main")
    commit_calls("two", [*NAMES[:12], "two", *NAMES[12:]])
    git(tmp_path, "merge", "--quiet", "--no-edit", "one")
    assert answers(tmp_path, [*NAMES, "one", "two"]) == ["An answer."] * 22


# ---------------------------------------------------------------- in a session


def test_a_session_packs_replays_from_the_pack_and_unpacks(project: Project, api: ApiServer) -> None:
    commit(project.root, "no recording")
    ini = project.root / "pytest.ini"
    ini.write_text(ini.read_text() + "eval_pack = 6\n")
    assert project.run("evals", "-m", "baseline", "-k", "not t6 and test_sample", "--record", "--repeat", "2").exit_code == 0
    assert len(project.recorded()) == 10
    assert project.run("evals", "--record-missing", "--snapshot-update").exit_code == 0
    pack = project.cassettes / "small.yaml"
    assert (api.calls, pack.read_text().count("- request:\n"), (project.cassettes / "small").exists()) == (11, 11, False)
    then = commit(project.root, "packed")
    api.stop()
    results = project.results("evals", "--against", then)
    assert results["models"]["small"]["samples"] == 6
    assert (
        results["against"]["models"]["small"]["rouge1"] | {"difference": 0.0, "samples": 6}
        == results["against"]["models"]["small"]["rouge1"]
    )
    assert results["models"]["small"]["noise"]["rouge1"]["samples"] == 5
    project.write_rows(ROWS[:5])
    run = project.run("evals", "--record-missing", "--snapshot-update")
    assert run.exit_code == 0, run.output
    assert not pack.exists()  # Five samples, one too few for a pack.
    assert len(project.recorded()) == 11
    assert "1 recording of no model or sample of the suite: cassettes/chats/small/t6.yaml" in project.run("evals").output
    shutil.rmtree(project.cassettes)
    ini.write_text(ini.read_text().replace("eval_pack = 6", "eval_pack = many"))
    project.run("evals").assert_refused("eval_pack = many: it takes the number of samples, 1 or more")
