"""Corrected means in gates, comparisons and against the past; bad exams; the other side's verdicts."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.judged import SAMPLES, SUITE, JudgedProject, answer, good, is_true, rows

LABELLED = range(0, SAMPLES, 2)
"""Every second answer has a label."""


def labels(model: str = "old") -> list[dict[str, Any]]:
    """People's labels of every second answer, which know the truth."""
    texts = {number: answer(f"t{number:03}") for number in LABELLED}
    return [
        {"id": f"t{number:03}", "answer": text, "label": bool(number % 5), "model": model, "by": "ann", "use": "random"}
        for number, text in texts.items()
    ]


def results(project: JudgedProject, *options: str) -> tuple[str, dict[str, Any]]:
    path = project.root / "results.json"
    run = project.run(
        "evals", "-p", "no:xdist", "--deselect", "evals/test_baseline.py::test_scores", "--results", str(path), *options
    )
    return run.output, json.loads(path.read_text())["suites"]["chats"]


def lenient(asked: Any) -> bool:
    """A judge that lets a quarter of the false answers pass, and knows references from mutants."""
    number = int(asked.sample.id[1:])
    return is_true(asked) or (asked.answer.startswith("Ann will") and number % 20 == 0)


def test_a_gate_on_a_corrected_mean_and_a_comparison_corrected_as_pairs(tmp_path: Path) -> None:
    suite = SUITE.replace("faithful = 0.5 }", "faithful = 0.85, faithful_corrected = 0.75 }") + (
        '\n[models.better]\npredictions = "../data/better.jsonl"\n\n'
        '[compare.better-is-better]\nbaseline = "old"\ncandidate = "better"\nmin_gain = { faithful_corrected = 0.01 }\n'
    )
    project = JudgedProject(tmp_path / "project", suite=suite)
    better = [{"id": row["id"], "prediction": good(row["id"])} for row in rows()]
    (project.data.parent / "better.jsonl").write_text("".join(json.dumps(line) + "\n" for line in better))
    both = labels() + [
        {"id": f"t{n:03}", "answer": good(f"t{n:03}"), "label": True, "by": "ann"} for n in LABELLED if n % 5 == 0
    ]
    project.write_labels(both)
    project.judge(lenient)
    said, found = results(project)
    # 85% are judged true, 80% are: the judge's own mean holds its gate, and the corrected one is near the truth.
    old = found["models"]["old"]
    assert old["scores"]["faithful"]["mean"] == pytest.approx(0.85)
    corrected = old["scores"]["faithful_corrected"]
    assert corrected["low"] < 0.8 < corrected["high"]
    assert corrected["mean"] == pytest.approx(0.8, abs=0.04)
    assert re.search(r"old faithful_corrected: corrected by 30 labels of these answers", said)
    assert old["gates"]["faithful_corrected"]["passed"] is True
    exam = found["judges"]["faithful"]["exam"]
    assert (exam["labels"], exam["sensitivity"]) == (36, 1)
    assert exam["specificity"] == 0.5
    # Labels of both answers to 30 samples correct the difference as pairs: 6 of them gain by the labels, 3 by the judge.
    gain = found["comparisons"]["better-is-better"]["faithful_corrected"]
    assert gain["difference"] == pytest.approx(0.2, abs=0.05)
    assert gain["low"] < 0.2 < gain["high"]
    assert "better-is-better faithful_corrected: corrected by 30 labels of these answers" in " ".join(said.split())


def test_labels_of_other_answers_correct_by_the_judges_errors_and_too_few_correct_nothing(tmp_path: Path) -> None:
    project = JudgedProject(tmp_path / "project", suite=SUITE.replace("faithful = 0.5 }", "faithful_corrected = 0.7 }"))
    others = [
        {"id": f"t{n:03}", "answer": f"{'Bob' if n % 2 else 'Ann'} will surely bring {n} plates.", "label": bool(n % 2)}
        for n in range(40)
    ]
    project.write_labels(others)
    project.edit_suite("[judges.faithful.exam]", "[judges.faithful.exam]\nmin_kappa = 0")
    # It is right on 18 of 20 true answers, and on all false ones: 0.8 judged true, (0.8 + 1 - 1) / 0.9 corrected.
    project.judge(
        lambda asked: is_true(asked) or (asked.answer.startswith("Bob will surely") and asked.sample.id not in ("t001", "t003"))
    )
    said, found = results(project)
    assert found["models"]["old"]["scores"]["faithful_corrected"]["mean"] == pytest.approx(0.8 / 0.9)
    assert "corrected by the judge's errors on 40 labels of other answers" in " ".join(said.split())

    project.write_labels(others[:12])
    project.judge(is_true)
    said, found = results(project)
    assert found["models"]["old"]["gates"]["faithful_corrected"]["passed"] is False
    assert "not corrected: 6 labels are true and 6 are false; it takes 10 of each" in " ".join(said.split())


def test_the_other_side_is_compared_where_its_verdicts_are_recorded(tmp_path: Path) -> None:
    project = JudgedProject(tmp_path / "project", suite=SUITE + "\n[against]\nmax_drop = { faithful = 0.5 }\n")
    project.judge(is_true)
    git = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=main"]
    import subprocess

    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run(["git", *git, *words], cwd=project.root, check=True)
    worse = [good(row["id"]) if n % 2 else f"Ann will bring {n} plates." for n, row in enumerate(rows())]
    project.write_answers(worse)
    project.judge(is_true)
    _, found = results(project, "--against", "HEAD")
    pair = found["against"]["models"]["old"]["faithful"]
    assert pair["samples"] == 60
    assert pair["difference"] == pytest.approx(0.5 - 0.8)
    # A judge that is asked otherwise now gave other verdicts there: they don't compare.
    project.edit_suite("Summary: {answer}", "The summary: {answer}")
    project.judge(is_true)
    _, found = results(project, "--against", "HEAD")
    assert found["against"]["models"]["old"]["faithful"]["samples"] < 60
    assert found["against"]["models"]["old"]["faithful"]["passed"] is not True


def test_bad_exams_are_refused(tmp_path: Path) -> None:
    project = JudgedProject(tmp_path / "project", suite=SUITE.replace('"negate"]', '"wrong_nubmer"]'))
    project.freeze()
    place = "evals/suites/chats.toml: [judges.faithful.exam] mutants: "
    project.run("evals").assert_refused(f"{place}'wrong_nubmer' is not an operator. Did you mean 'wrong_number'?")
    project.write_rows([{**row, "dialogue": "nobody speaks", "id": f"x{n}"} for n, row in enumerate(rows())])
    project.edit_suite('"swap_names", "wrong_nubmer"', '"swap_names"')
    project.freeze()
    project.run("evals").assert_refused(f"{place}'swap_names' applies to none of the 60 references; leave it out")
    project.edit_suite('["swap_names"]', '["negate"]')
    project.write_labels([{"id": "t7", "answer": "a", "label": True}])
    project.run("evals").assert_refused("evals/data/labels.jsonl, line 1: 't7' is no sample of the suite.")


def test_the_part_of_an_answer_that_is_scored(tmp_path: Path) -> None:
    more = 'faithful = 0.5 }\nallow_failed = 1\nanswer = { after = "</think>", json = "summary" }'
    suite = SUITE.replace("faithful = 0.5 }", more)
    project = JudgedProject(tmp_path / "project", suite=suite)
    wrapped = [f'Let me see.</think> {{"summary": {json.dumps(answer(row["id"]))}}}' for row in rows()]
    project.write_answers([*wrapped[:-1], "I would rather think on."])
    project.judge(is_true)
    page = project.root / "report.html"
    said, found = results(project, "--report", str(page))
    assert found["models"]["old"]["failed"] == 1
    assert "[answer] after = '</think>' finds nothing in 'I would rather think on.'" in " ".join(said.split())
    assert found["predictions"][1]["prediction"] == "Bob will bring 1 plates."
    assert found["models"]["old"]["scores"]["faithful"]["scored"] == 59
    data = json.loads(page.read_text().partition('id="data">')[2].partition("</script>")[0])["suites"][0]
    shown = data["samples"][1]["predictions"][0]
    assert shown["text"] == "Bob will bring 1 plates."
    assert shown["raw"].startswith("Let me see.</think>")
