"""The file of labels: what it may hold, and what is refused by line."""

import json
from pathlib import Path
from typing import Any

import pytest
from evaltape.errors import UserError
from evaltape.judging.labels import by_answer, read_labels, second_pairs


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def row(sample: str = "1", label: Any = True, answer: str = "Ann left.", **more: Any) -> dict[str, Any]:
    return {"id": sample, "answer": answer, "label": label, **more}


def test_labels_of_several_people_and_uses(tmp_path: Path) -> None:
    rows = [
        row(by="ann", model="small"),
        row(by="bob", label=False),
        row(by="ann", label=False, use="second"),
        row("2", by="ann", use="prompt"),
        row("2", answer="Bob left.", by="ann", use="disagreement"),
        row("3", use="random"),
    ]
    labels = read_labels(write(tmp_path / "labels.jsonl", *rows), None, {"1", "2", "3"})
    assert [label.examines for label in labels] == [True, True, False, False, True, True]
    assert [label.stands_for_others for label in labels] == [True, True, False, False, False, True]
    grouped = by_answer(label for label in labels if label.examines)
    assert [(each.sample, scores) for each, scores in grouped.items()] == [("1", [1.0, 0.0]), ("2", [1.0]), ("3", [1.0])]
    assert second_pairs(labels) == [("1", 1.0, 0.0)]


def test_labels_on_a_scale_become_0_to_1(tmp_path: Path) -> None:
    path = write(tmp_path / "labels.jsonl", row(label=1), row("2", label=4), row("3", label=5.0))
    assert [label.score for label in read_labels(path, (1, 5))] == [0, 0.75, 1]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (["{"], "line 1: not a label: "),
        (["[]"], 'line 1: it takes an object a line, {"id": ..., "answer": ..., "label": ...}'),
        ([row(), row("9")], "line 2: '9' is no sample of the suite."),
        ([row(labels=1)], "line 1: 'labels' is not a key of a label. Did you mean 'label'? Keys: id, answer, label"),
        ([row(label=1)], 'line 1: "label" is 1; it takes true or false'),
        ([row(label=None)], 'line 1: "label" is null; it takes true or false'),
        ([row(answer=" ")], 'line 1: "answer" is " "; it takes a text'),
        ([{"id": "1", "label": True}], 'line 1: "answer" is missing; it takes a text'),
        ([row(use="promt")], "line 1: \"use\" is 'promt'. Did you mean 'prompt'? Uses: prompt, random"),
        (
            [row(by="ann"), row(by="bob"), row(by="ann", label=False)],
            "line 3: a second label of this answer to '1' by ann, after line 1. Keep one of them; mark a label that was given "
            'blind a second time with "use": "second"',
        ),
        ([row(), row()], "line 2: a second label of this answer to '1' by the same person (nobody is named), after line 1"),
        ([row(use="second"), row(use="second")], "line 2: a second label of this answer"),
    ],
)
def test_bad_labels_are_refused_by_line(tmp_path: Path, rows: list[Any], told: str) -> None:
    path = write(tmp_path / "labels.jsonl", *rows)
    with pytest.raises(UserError) as error:
        read_labels(path, None, {"1", "2"})
    assert f"labels.jsonl, {told}" in str(error.value)


def test_a_number_that_leaves_the_scale_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match='line 1: "label" is 6; it takes a number from 1 to 5'):
        read_labels(write(tmp_path / "labels.jsonl", row(label=6)), (1, 5))


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"can't be read: No such file or directory. Label answers: evaltape label"):
        read_labels(tmp_path / "none.jsonl", None)
