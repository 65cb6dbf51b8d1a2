"""Replay rests on the frozen samples: it needs no data set, and notices when the suite asks for other samples."""

import json
from pathlib import Path

import pytest
from evaltape.samples.frozen import promote
from evaltape.samples.suite_samples import replay_samples, settle_samples, stage_samples
from evaltape.suite.definition import Suite

from tests.support.project import ROWS, Project
from tests.support.suites import MISSING, refusal, suite_in, write_data

IDS = [row["id"] for row in ROWS]


def frozen(
    folder: Path, dataset: str = "", path: str = "talks.jsonl", rows: list[dict[str, str]] = ROWS, **suite: str
) -> Suite:
    """A suite whose samples are frozen in `frozen`."""
    write_data(folder / path if Path(path).suffix else folder / path / "validation.jsonl", rows)
    read = suite_in(folder, dataset, path=path, **suite)
    stage_samples(read, folder / "frozen", fresh=True)
    promote(folder / "frozen")
    return read


def ids(suite: Suite) -> list[str]:
    return [sample.id for sample in replay_samples(suite, suite.file.parent / "frozen", MISSING)[0]]


def refused(suite: Suite) -> str:
    return refusal(replay_samples, suite, suite.file.parent / "frozen", MISSING)


# ---------------------------------------------------------------- without the data


@pytest.mark.parametrize("path", ["talks.jsonl", "./talks.jsonl", "talks", "./talks", "data/talks", "data/talks.jsonl"])
def test_replay_needs_no_data_set_however_its_path_is_written(tmp_path: Path, path: str) -> None:
    (tmp_path / path if not Path(path).suffix else (tmp_path / path).parent).mkdir(parents=True, exist_ok=True)
    suite = frozen(tmp_path, path=path)
    for there in sorted(tmp_path.glob("**/*.jsonl")):
        if "frozen" not in there.parts:
            there.unlink()
    for there in (tmp_path / "data/talks", tmp_path / "data", tmp_path / "talks"):
        if there.is_dir():
            there.rmdir()
    assert ids(suite) == IDS


def test_replay_of_a_project_needs_no_data(recorded: Project) -> None:
    recorded.edit_suite("../data/talks.jsonl", "data")
    recorded.suite.with_name("data").mkdir()
    recorded.data.rename(recorded.suite.with_name("data") / "validation.jsonl")
    assert recorded.run("evals", "--record-missing", "-m", "baseline").exit_code == 0
    (recorded.suite.with_name("data") / "validation.jsonl").unlink()
    recorded.suite.with_name("data").rmdir()
    run = recorded.run("evals", "-m", "baseline")
    run.assert_outcomes(passed=8)


def pointer(folder: Path, sha256: str) -> None:
    (folder / "talks.jsonl").write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize 12345\n")


def digest_of(folder: Path) -> str:
    return str(next(iter(json.loads((folder / "dataset.json").read_text())["sources"].values())))


def test_replay_needs_no_file_that_git_lfs_has_not_fetched(tmp_path: Path) -> None:
    suite = frozen(tmp_path)
    pointer(tmp_path, digest_of(tmp_path / "frozen"))
    assert ids(suite) == IDS
    pointer(tmp_path, "0" * 64)
    assert refused(suite).endswith("talks.jsonl: a Git LFS pointer and not the file itself. Fetch it: git lfs pull")


# ---------------------------------------------------------------- with other data


@pytest.mark.parametrize(
    ("dataset", "told"),
    [
        ("samples = 3", "samples is 3, the recording was made with none"),
        ("seed = 1", "seed is 1, the recording was made with none"),
        ('split = "test"', "split is 'test', the recording was made with 'validation'"),
        ('revision = "v2"', "revision is 'v2', the recording was made with none"),
        ('fields = { id = "dialogue" }', "fields.id is 'dialogue', the recording was made with 'id'"),
        ('fields = { id = "id", reference = ["summary", "id"] }', "fields.reference is 'summary' and 'id', the recording was made with 'summary'"),
    ],
)  # fmt: skip
def test_replay_refuses_another_selection(tmp_path: Path, dataset: str, told: str) -> None:
    frozen(tmp_path)
    assert refused(suite_in(tmp_path, dataset)).endswith(
        f"chats.toml: [dataset] {told}. Record what changed: {MISSING} (costs what --estimate says)"
    )


def test_a_path_matters_where_the_data_is_not_at_hand(tmp_path: Path) -> None:
    suite = frozen(tmp_path)
    (tmp_path / "moved").mkdir()
    (tmp_path / "talks.jsonl").rename(tmp_path / "moved/renamed.jsonl")
    assert ids(suite_in(tmp_path, path="moved/renamed.jsonl")) == IDS
    (tmp_path / "moved/renamed.jsonl").unlink()
    assert "path is 'moved/renamed.jsonl', the recording was made with 'talks.jsonl'" in refused(
        suite_in(tmp_path, path="moved/renamed.jsonl")
    )
    assert ids(suite_in(tmp_path, path=suite.dataset.path)) == IDS


@pytest.mark.parametrize(
    ("rows", "told", "cost"),
    [
        ([*ROWS[:5], {**ROWS[5], "summary": "Gus buys bread"}], "of 6 samples 1 changed (t6)", "no call"),
        ([*ROWS[:5]], "of 6 samples 1 removed (t6)", "no call"),
        ([*ROWS, {**ROWS[0], "id": "t7"}], "of 6 samples 1 added (t7)", "1 call"),
        ([{**row, "dialogue": "x"} for row in ROWS], "of 6 samples 6 changed (t1, t2, t3, ...)", "6 calls"),
        (ROWS[::-1], "of 6 samples the order changed", "no call"),
    ],
    ids=["changed", "removed", "added", "all changed", "reordered"],
)
def test_replay_refuses_a_data_set_whose_rows_changed_and_names_them(
    tmp_path: Path, rows: list[dict[str, str]], told: str, cost: str
) -> None:
    suite = frozen(tmp_path)
    write_data(tmp_path / "talks.jsonl", rows)
    message = refused(suite)
    assert "'talks.jsonl' changed since it was recorded in " in message
    assert message.endswith(f": {told}. Record what changed: {MISSING} (costs {cost})")


def test_rows_are_compared_in_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"id": f"m{n}", "dialogue": f"Ann: {n}", "summary": f"{n}."} for n in range(400)]
    suite = frozen(tmp_path, rows=rows)
    write_data(tmp_path / "talks.jsonl", [{**row, "summary": "other"} for row in rows])
    compared = 0
    from evaltape.samples.sample import Sample

    equal = Sample.__eq__

    def counting(self: Sample, other: object) -> bool:
        nonlocal compared
        compared += 1
        return equal(self, other)

    monkeypatch.setattr(Sample, "__eq__", counting)
    assert "of 400 samples 400 changed" in refused(suite)
    assert compared <= 400


def test_replay_accepts_a_file_that_changed_in_nothing_but_its_form(tmp_path: Path) -> None:
    suite = frozen(tmp_path)
    (tmp_path / "talks.jsonl").write_text("".join(json.dumps({**row, "note": "new"}) + "\n" for row in ROWS))
    assert ids(suite) == IDS


def test_replay_loads_no_rows_while_the_file_is_the_one_that_was_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = frozen(tmp_path)
    monkeypatch.setattr("evaltape.samples.suite_samples.load_samples", None)
    assert ids(suite) == IDS


# ---------------------------------------------------------------- columns


WITH_COLUMNS = [{**row, "topic": "cars", "thread": n // 2, "url": None} for n, row in enumerate(ROWS)]


def test_slices_clusters_and_kept_columns_come_from_the_frozen_samples(tmp_path: Path) -> None:
    suite = frozen(tmp_path, 'slices = ["topic"]\ncluster = "thread"\nkeep = ["url"]', rows=WITH_COLUMNS)
    (tmp_path / "talks.jsonl").unlink()
    samples, _ = replay_samples(suite, tmp_path / "frozen", MISSING)
    assert [sample.columns for sample in samples[:3]] == [
        {"thread": 0, "topic": "cars", "url": None},
        {"thread": 0, "topic": "cars", "url": None},
        {"thread": 1, "topic": "cars", "url": None},
    ]


def test_a_column_that_was_not_recorded_is_named_with_the_command_that_adds_it(tmp_path: Path) -> None:
    frozen(tmp_path, 'keep = ["topic"]', rows=WITH_COLUMNS)
    suite = suite_in(tmp_path, 'slices = ["topic"]\ncluster = "thread"')
    assert refused(suite).endswith(
        "[dataset] cluster names 'thread': no such column. Recorded columns: topic. "
        f"Add it to the recording, without a call: {MISSING}"
    )
    stage_samples(suite, tmp_path / "frozen", fresh=False)
    settle_samples(suite, tmp_path / "frozen", fresh=False)
    assert ids(suite) == IDS


def test_a_recording_may_hold_more_columns_than_are_named(tmp_path: Path) -> None:
    frozen(tmp_path, 'keep = ["topic", "url"]', rows=WITH_COLUMNS)
    assert ids(suite_in(tmp_path)) == IDS
    write_data(tmp_path / "talks.jsonl", [{**row, "topic": "x"} for row in WITH_COLUMNS])
    assert ids(suite_in(tmp_path)) == IDS


def test_a_prompt_column_without_a_value_is_refused_in_replay(tmp_path: Path) -> None:
    frozen(tmp_path, 'keep = ["url"]', rows=WITH_COLUMNS)
    suite = suite_in(tmp_path, prompt='user = "{url}: {input}"')
    assert refused(suite).endswith("sample 't1': column 'url' is empty")
