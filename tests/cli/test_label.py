"""`evaltape label`: a key a verdict, a line a label, blind, resumable, and a second time."""

import io
import json
from pathlib import Path

import pytest
from evaltape.cli.label import main
from evaltape.samples.frozen import promote
from evaltape.samples.suite_samples import stage_samples
from evaltape.suite.reader import load_suite

SUITE = """\
[dataset]
path = "../data/chats.jsonl"

[metrics]
rouge1 = {}
true = { judge = "true" }

[judges.true]
model = "judge-1"
base_url = "http://127.0.0.1:9/v1"
prompt = "{input} {answer}"
verdict = { json = "true" }

[judges.true.exam]
labels = "../data/true.jsonl"

[models.old]
predictions = "../data/old.jsonl"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five chats with answers from a file, and a judge whose labels are still to be given."""
    (tmp_path / "evals/suites").mkdir(parents=True)
    (tmp_path / "evals/data").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\neval_suite = evals/suites/*.toml\n")
    (tmp_path / "evals/suites/chats.toml").write_text(SUITE)
    chats = [
        {"id": f"c{n}", "dialogue": f"Ann: hi {n}\nBob: \x1b[31mhello", "summary": f"Ann greets Bob {n}."} for n in range(5)
    ]
    answers = [{"id": f"c{n}", "prediction": f"Ann says hi {n}."} for n in range(5)]
    for name, rows in (("chats", chats), ("old", answers)):
        (tmp_path / f"evals/data/{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(tmp_path)
    stage_samples(load_suite(Path("evals/suites/chats.toml")), tmp_path / "cassettes/chats", fresh=True)
    promote(tmp_path / "cassettes/chats")
    return tmp_path


def label(monkeypatch: pytest.MonkeyPatch, keys: str, *options: str) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{key}\n" for key in keys)))
    return main(["--by", "ann", *options])


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "evals/data/true.jsonl").read_text().splitlines()]


def test_labels_are_written_one_by_one_and_gone_on_with(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert label(monkeypatch, "yxnsq") == 0
    said = capsys.readouterr().out
    first, second = lines(folder)
    assert first.keys() == {"id", "answer", "label", "model", "by", "use"}
    assert (first["label"], second["label"], first["by"], first["use"]) == (True, False, "ann", "random")
    assert first["answer"] == f"Ann says hi {str(first['id'])[1]}."
    # Each page shows input and answer, how the answer was chosen, and nothing that moves the terminal; not what the judge says.
    assert f"1 of 5 · sample {first['id']} · drawn at random" in said
    assert "Bob: \\x1b[31mhello" in said
    assert "\x1b" not in said
    assert f"\nAnn says hi {str(first['id'])[1]}.\n" in said
    assert "[y] yes  [n] no  [s] skip  [q] stop" in said
    assert "Ann greets Bob" not in said
    assert "2 labels written to evals/data/true.jsonl.\n3 answers left. Go on: evaltape label\n" in said

    assert label(monkeypatch, "yyyyy") == 0
    assert "1 of 3 · " in capsys.readouterr().out
    assert len(lines(folder)) == 5
    assert label(monkeypatch, "y") == 0
    assert "0 labels written" in capsys.readouterr().out


def test_a_second_time_says_how_often_one_agrees_with_oneself(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert label(monkeypatch, "", "--second") == 4
    assert "there is no label by ann to give a second time" in capsys.readouterr().err
    label(monkeypatch, "yynnn")
    given = {line["id"]: line["label"] for line in lines(folder)}
    assert label(monkeypatch, "yyyyy", "--second") == 0
    said = capsys.readouterr().out
    assert "1 of 5 · sample" in said
    assert "a second time" in said
    assert f"You agree with yourself on {sum(map(bool, given.values()))} of 5 answers; kappa 0.00." in said
    assert [line["use"] for line in lines(folder)] == ["random"] * 5 + ["second"] * 5


def test_the_end_of_a_last_line_is_made_up_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "evals/data/true.jsonl").write_text('{"id": "c0", "answer": "by hand", "label": true, "by": "bob"}')
    label(monkeypatch, "y")
    assert [line["by"] for line in lines(folder)] == ["bob", "ann"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["treu"], "'treu' is no judge. Did you mean 'true'? Judges: true"),
        (["--model", "odl"], "--model odl: no model of evals/suites/chats.toml. Did you mean 'old'?"),
        (["--suite", "none.toml"], "none.toml"),
    ],
)
def test_mistakes_are_one_message(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: list[str], told: str
) -> None:
    assert label(monkeypatch, "y", *options) == 4
    assert told in capsys.readouterr().err


def test_a_judge_without_a_file_of_labels_says_what_to_add(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = folder / "evals/suites/chats.toml"
    suite.write_text(suite.read_text().replace('labels = "../data/true.jsonl"\n', ""))
    assert label(monkeypatch, "y") == 4
    assert 'names no file of labels; add labels = "../data/true.jsonl"' in capsys.readouterr().err
