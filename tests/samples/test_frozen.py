"""Frozen samples: what they hold, that no change of them goes unnoticed, and how new ones replace them."""

import hashlib
import json
import os
from pathlib import Path

import pytest
from evaltape.samples.frozen import Origin, discard, is_staged, promote, read_frozen, stage
from evaltape.samples.sample import Sample
from evaltape.samples.suite_samples import preview_samples, replay_samples, settle_samples, stage_samples
from evaltape.suite.definition import Suite

from tests.support.project import ROWS
from tests.support.suites import MISSING, TALK, refusal, suite_in, write_data

IDS = [row["id"] for row in ROWS]
ORIGIN = Origin({"path": "squad"}, (), {})


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """A suite on six rows."""
    write_data(tmp_path / "talks.jsonl", ROWS)
    return suite_in(tmp_path)


@pytest.fixture
def folder(suite: Suite, tmp_path: Path) -> Path:
    """The folder of its recordings, with its samples frozen."""
    stage_samples(suite, tmp_path / "frozen", fresh=True)
    promote(tmp_path / "frozen")
    return tmp_path / "frozen"


def freeze(suite: Suite, folder: Path, fresh: bool) -> None:
    """Stage samples and begin a recording."""
    stage_samples(suite, folder, fresh)
    settle_samples(suite, folder, fresh)


def replayed(suite: Suite, folder: Path, staged: bool = False) -> list[str]:
    return [sample.id for sample in replay_samples(suite, folder, MISSING, staged)[0]]


def refused(suite: Suite, folder: Path) -> str:
    return refusal(replay_samples, suite, folder, MISSING)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ---------------------------------------------------------------- what they hold


def test_samples_are_read_as_they_were_frozen(tmp_path: Path) -> None:
    samples = [
        Sample(
            "1/2", "Ann: one\u2028two\x85\x0c", ("a", "b"), {"n": 1.5, "turns": [{"role": "user", "content": "é"}], "x": None}
        ),
        Sample("é", "好的 🙂", ("c",)),
    ]
    stage(tmp_path, samples, ORIGIN)
    promote(tmp_path)
    frozen = read_frozen(tmp_path)
    assert frozen.samples == samples
    assert frozen.origin == ORIGIN


def test_a_line_is_a_sample_in_the_words_of_the_contract(suite: Suite, folder: Path) -> None:
    first = json.loads((folder / "samples.jsonl").read_text().split("\n")[0])
    assert first == {"id": "t1", "input": TALK["dialogue"], "references": ["the red car won the race"], "columns": {}}


def test_the_origin_holds_the_digests_of_both_files(suite: Suite, folder: Path, tmp_path: Path) -> None:
    origin = json.loads((folder / "dataset.json").read_text())
    assert origin["samples_sha256"] == hashlib.sha256((folder / "samples.jsonl").read_bytes()).hexdigest()
    assert origin["sources"] == {"talks.jsonl": hashlib.sha256((tmp_path / "talks.jsonl").read_bytes()).hexdigest()}
    assert origin["dataset"] == {
        "path": "talks.jsonl",
        "revision": None,
        "split": "validation",
        "samples": None,
        "seed": None,
        "fields": {"id": "id", "input": "dialogue", "reference": ["summary"]},
    }


# ---------------------------------------------------------------- changes by hand


def edit_removing_half(lines: list[str]) -> list[str]:
    return lines[:3]


def edit_adding(lines: list[str]) -> list[str]:
    return [*lines, lines[0].replace("t1", "t9")]


def edit_reordering(lines: list[str]) -> list[str]:
    return lines[::-1]


def edit_a_reference(lines: list[str]) -> list[str]:
    return [lines[0].replace("won the race", "won"), *lines[1:]]


def edit_to_nothing(lines: list[str]) -> list[str]:
    return []


def edit_to_no_sample(lines: list[str]) -> list[str]:
    return ["{", *lines[1:]]


EDITS = [edit_removing_half, edit_adding, edit_reordering, edit_a_reference, edit_to_nothing, edit_to_no_sample]


@pytest.mark.parametrize("edit", EDITS)
def test_a_line_that_is_changed_added_or_removed_is_refused(suite: Suite, folder: Path, edit: object) -> None:
    path = folder / "samples.jsonl"
    lines = edit(path.read_text().splitlines())  # type: ignore[operator]
    path.write_text("".join(line + "\n" for line in lines))
    message = refused(suite, folder)
    assert "samples.jsonl was changed since it was frozen: its SHA-256 isn't the one in dataset.json. Restore it" in message
    assert message.endswith(f"Or freeze the samples again from the data: {MISSING} (costs what --estimate says)")


@pytest.mark.parametrize("edit", EDITS)
def test_the_command_that_the_message_names_mends_it(suite: Suite, folder: Path, edit: object) -> None:
    path = folder / "samples.jsonl"
    path.write_text("\n".join(edit(path.read_text().splitlines())))  # type: ignore[operator]
    freeze(suite, folder, fresh=False)
    assert replayed(suite, folder) == IDS


def test_line_ends_that_git_changed_are_no_change(suite: Suite, folder: Path) -> None:
    path = folder / "samples.jsonl"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert replayed(suite, folder) == IDS


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"dataset": 1, "samples_sha256": ""}', '{"dataset": {}, "columns": [], "sources": {}}']
)
def test_a_damaged_origin_is_refused(suite: Suite, folder: Path, text: str) -> None:
    (folder / "dataset.json").write_text(text)
    assert "dataset.json is missing or damaged. Or freeze the samples again from the data: " in refused(suite, folder)


@pytest.mark.parametrize(
    "line",
    [
        "[]", "{}", '{"id": "a", "input": "b", "references": [], "columns": {}}', '{"id": "a", "input": "b", "references": ["c"]}',
        '{"id": 1, "input": "b", "references": ["c"], "columns": {}}', '{"id": "a", "input": "b", "references": [1], "columns": {}}',
        '{"id": "a", "input": "b", "references": ["c"], "columns": []}', "[" * 100_000,
        '{"id": "a", "input": "b", "references": "alphabet", "columns": {}}',
    ],
)  # fmt: skip
def test_a_line_that_is_no_sample_is_named_whatever_the_digest(suite: Suite, folder: Path, line: str) -> None:
    content = (line + "\n").encode()
    (folder / "samples.jsonl").write_bytes(content)
    origin = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**origin, "samples_sha256": hashlib.sha256(content).hexdigest()}))
    assert "samples.jsonl, line 1: not a frozen sample" in refused(suite, folder)


@pytest.mark.parametrize("name", ["samples.jsonl", "dataset.json"])
def test_a_git_lfs_pointer_says_how_to_fetch_the_file(suite: Suite, folder: Path, name: str) -> None:
    (folder / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    assert refused(suite, folder).endswith(f"{name}: a Git LFS pointer and not the file itself. Fetch it: git lfs pull")


# ---------------------------------------------------------------- staging


def test_new_samples_wait_beside_the_frozen_ones_until_they_are_promoted(suite: Suite, folder: Path, tmp_path: Path) -> None:
    write_data(tmp_path / "talks.jsonl", [*ROWS, {**TALK, "id": "t7"}])
    staged, _ = stage_samples(suite, folder, fresh=True)
    assert [sample.id for sample in staged] == [*IDS, "t7"]
    assert [sample.id for sample in read_frozen(folder).samples] == IDS
    assert replayed(suite, folder, staged=True) == [*IDS, "t7"]
    assert files(folder) == ["dataset.json", "dataset.json.next", "samples.jsonl", "samples.jsonl.next"]
    promote(folder)
    assert files(folder) == ["dataset.json", "samples.jsonl"]
    assert replayed(suite, folder) == replayed(suite, folder, staged=True) == [*IDS, "t7"]


def test_samples_that_were_not_promoted_leave_nothing(suite: Suite, folder: Path, tmp_path: Path) -> None:
    before = {name: (folder / name).read_bytes() for name in files(folder)}
    write_data(tmp_path / "talks.jsonl", [TALK])
    suite_with_other_inputs = suite_in(tmp_path, "samples = 1", path="talks.jsonl")
    write_data(tmp_path / "talks.jsonl", [{**TALK, "dialogue": "other"}])
    stage_samples(suite_with_other_inputs, folder, fresh=True)
    assert is_staged(folder)
    discard(folder)
    assert {name: (folder / name).read_bytes() for name in files(folder)} == before


def test_the_first_samples_of_a_suite_are_staged_too(suite: Suite, tmp_path: Path) -> None:
    stage_samples(suite, tmp_path / "new", fresh=True)
    assert files(tmp_path / "new") == ["dataset.json.next", "samples.jsonl.next"]
    assert "no recording of this suite" in refused(suite, tmp_path / "new")
    discard(tmp_path / "new")
    assert files(tmp_path / "new") == []


def test_what_a_killed_recording_staged_is_forgotten_by_the_next(suite: Suite, folder: Path, tmp_path: Path) -> None:
    stage(folder, [Sample("other", "x", ("y",))], ORIGIN)
    assert replayed(suite, folder) == IDS
    assert [sample.id for sample in stage_samples(suite, folder, fresh=True)[0]] == IDS
    assert files(folder) == ["dataset.json", "samples.jsonl"]


def test_a_promotion_that_was_killed_midway_is_as_good_as_done(suite: Suite, folder: Path, tmp_path: Path) -> None:
    write_data(tmp_path / "talks.jsonl", [*ROWS, {**TALK, "id": "t7"}])
    stage_samples(suite, folder, fresh=True)
    os.replace(folder / "samples.jsonl.next", folder / "samples.jsonl")
    assert replayed(suite, folder) == replayed(suite, folder, staged=True) == [*IDS, "t7"]
    stage_samples(suite, folder, fresh=True)
    assert files(folder) == ["dataset.json", "samples.jsonl"]
    assert replayed(suite, folder) == [*IDS, "t7"]


@pytest.mark.parametrize("staged", [True, False])
def test_readers_find_whole_samples_between_the_steps_of_a_promotion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, staged: bool
) -> None:
    stage(tmp_path, [Sample("old", "x", ("y",))], ORIGIN)
    promote(tmp_path)
    stage(tmp_path, [Sample("new", "x", ("y",))], ORIGIN)
    seen = []
    replace = os.replace

    def step(source: Path, target: Path) -> None:
        seen.append(read_frozen(tmp_path, staged).samples[0].id)
        replace(source, target)
        seen.append(read_frozen(tmp_path, staged).samples[0].id)

    monkeypatch.setattr("os.replace", step)
    promote(tmp_path)
    assert seen == [("new" if staged else "old"), "new", "new", "new"]


@pytest.mark.parametrize("staged", [True, False])
@pytest.mark.parametrize("steps", [1, 2])
def test_a_reader_that_a_promotion_overtakes_reads_whole_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, staged: bool, steps: int
) -> None:
    stage(tmp_path, [Sample("old", "x", ("y",))], ORIGIN)
    promote(tmp_path)
    stage(tmp_path, [Sample("new", "x", ("y",))], ORIGIN)
    waiting = [(tmp_path / f"{name}.next", tmp_path / name) for name in ("samples.jsonl", "dataset.json")][:steps]
    read_bytes = Path.read_bytes

    def read_then_promote(path: Path) -> bytes:
        content = read_bytes(path)
        while waiting:
            os.replace(*waiting.pop(0))
        return content

    monkeypatch.setattr(Path, "read_bytes", read_then_promote)
    # Overtaken by the first step alone, a reader of what is in place has read a whole old pair.
    wanted = "old" if steps == 1 and not staged else "new"
    assert [sample.id for sample in read_frozen(tmp_path, staged).samples] == [wanted]


# ---------------------------------------------------------------- which are taken, and when they are loaded again


def test_frozen_samples_of_the_same_file_need_no_loading(suite: Suite, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaltape.samples.suite_samples.load_samples", None)
    for fresh in (True, False):
        assert [sample.id for sample in stage_samples(suite, folder, fresh)[0]] == IDS
    assert [sample.id for sample in preview_samples(suite, folder)[0]] == IDS
    assert files(folder) == ["dataset.json", "samples.jsonl"]


def test_what_is_missing_is_recorded_without_the_data_at_hand(suite: Suite, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "talks.jsonl").unlink()
    assert [sample.id for sample in stage_samples(suite, folder, fresh=False)[0]] == IDS
    assert "'talks.jsonl' is not there" in refusal(stage_samples, suite, folder, fresh=True)


def test_a_lost_folder_is_not_asked_of_the_hub(tmp_path: Path) -> None:
    (tmp_path / "talks").mkdir()
    write_data(tmp_path / "talks/validation.jsonl", ROWS)
    suite = suite_in(tmp_path, path="talks")
    stage_samples(suite, tmp_path / "frozen", fresh=True)
    promote(tmp_path / "frozen")
    (tmp_path / "talks").rename(tmp_path / "elsewhere")
    message = refusal(stage_samples, suite, tmp_path / "frozen", fresh=True)
    assert message.endswith("[dataset] 'talks' is not there: it was recorded from a local file. Put it back to record again")


@pytest.mark.parametrize(
    "rows",
    [
        [{**row, "summary": "other"} for row in ROWS],
        ROWS[:3],
        [{**row, "note": "x"} for row in ROWS],
        ROWS[::-1],
    ],
    ids=["other references", "fewer", "another form", "another order"],
)
def test_samples_that_ask_nothing_new_are_promoted_at_once_where_perhaps_nothing_is_missing(
    suite: Suite, folder: Path, tmp_path: Path, rows: list[dict[str, str]]
) -> None:
    write_data(tmp_path / "talks.jsonl", rows)
    is_the_same = "note" in rows[0]
    freeze(suite, folder, fresh=True)
    assert is_staged(folder) is not is_the_same  # A fresh recording will have an answer to promote them.
    freeze(suite, folder, fresh=False)
    assert not is_staged(folder)
    assert replayed(suite, folder) == [row["id"] for row in rows]


def test_a_changed_column_waits_only_where_a_prompt_names_it(suite: Suite, folder: Path, tmp_path: Path) -> None:
    write_data(tmp_path / "talks.jsonl", [{**row, "tone": "warm"} for row in ROWS])
    freeze(suite_in(tmp_path, 'keep = ["tone"]'), folder, fresh=False)
    assert not is_staged(folder)
    write_data(tmp_path / "talks.jsonl", [{**row, "tone": "cold"} for row in ROWS])
    freeze(suite_in(tmp_path, 'keep = ["tone"]'), folder, fresh=False)
    assert not is_staged(folder)
    write_data(tmp_path / "talks.jsonl", [{**row, "tone": "dry"} for row in ROWS])
    freeze(suite_in(tmp_path, prompt='user = "{tone} {input}"'), folder, fresh=False)
    assert is_staged(folder)


def test_a_preview_writes_nothing(suite: Suite, tmp_path: Path) -> None:
    assert [sample.id for sample in preview_samples(suite, tmp_path / "new")[0]] == IDS
    assert not (tmp_path / "new").exists()
