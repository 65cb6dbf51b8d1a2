"""Six judges in the terminal, the results file and the page: one that is good, and five that can't be relied on."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.judged import SUITE, JudgedProject, answer, is_true, rows
from tests.support.project import Run


def run(project: JudgedProject) -> tuple[Run, dict[str, Any], dict[str, Any]]:
    """Run the suite; return what it said, its results, and what the page shows of it."""
    files = {name: project.root / f"out.{name}" for name in ("results", "report", "comment")}
    options = [word for name, path in files.items() for word in (f"--{name}", str(path))]
    done = project.run(
        "evals", "-p", "no:xdist", "-p", "no:randomly", "--deselect", "evals/test_baseline.py::test_scores", *options
    )
    results = json.loads(files["results"].read_text())["suites"]["chats"]
    page = files["report"].read_text().partition('id="data">')[2].partition("</script>")[0]
    return done, results, json.loads(page)["suites"][0]


def test_a_good_judge(tmp_path: Path) -> None:
    project = JudgedProject(tmp_path / "project")
    project.judge(is_true)
    done, results, page = run(project)
    assert done.exit_code == 0, done.output
    assert "All 2 gates hold; 1 of 1 judge passed its exam" in done.output
    assert re.search(r"faithful +0\.8000 +0\.6822 to 0\.8817 +0\.5 +passed", done.output)
    assert re.search(r"notices swap_names +1\.00 +0\.84 to 1\.00 +>= 0\.8 +passed", done.output)
    assert re.search(r"alarms, harmless +0\.00 +0\.00 to 0\.05 +<= 0\.1 +passed", done.output)
    assert "took no exam" not in done.output
    judge = results["judges"]["faithful"]
    assert (judge["asked"], judge["unread"]) == (60, 0)
    assert judge["exam"]["noticed"] == {"swap_names": 1, "negate": 1}
    assert (judge["exam"]["alarms"], judge["exam"]["passed"]) == (0, True)
    assert results["metrics"]["faithful"] == {"judge": "faithful"}
    shown = page["judges"][0]
    assert (shown["key"], shown["verdict"], shown["standing"]) == ("faithful", "passed", "")
    assert [part["name"] for part in shown["parts"]][:2] == ["notices swap_names", "notices negate"]


def test_a_judge_that_says_yes_to_all(tmp_path: Path) -> None:
    project = JudgedProject(tmp_path / "project")
    project.judge(lambda asked: True)
    done, results, page = run(project)
    assert done.exit_code == 1
    said = " ".join(done.output.split())
    # The exam fails, and with it the gate, though every answer is judged true.
    assert "FAILED evals/test_judges.py::test_judge[chats-faithful]" in done.output
    assert "0.00 < 0.8: faithful swap_names: 0 of 20 noticed (95% interval 0.00 to 0.16)" in done.output
    assert re.search(r'swap_names, missed: t\d+: "Ann asks Bob [^"]*" became "Bob asks Ann [^"]*"; t\d+: "', done.output)
    assert "Name the damage in the prompt of [judges.faithful], ask a stronger model, or take swap_names out of" in said
    assert "FAILED evals/test_baseline.py::test_gate[chats-old-faithful]" in done.output
    assert "the judge faithful failed its exam (swap_names, negate), so nothing may rest on it" in said
    assert "other test of the suite failed" not in said
    assert "[judges.faithful] unexamined = true lets it, and says so everywhere" in said
    gate = results["models"]["old"]["gates"]["faithful"]
    assert (gate["verdict"], gate["passed"]) == ("failed", False)
    assert results["judges"]["faithful"]["exam"]["passed"] is False
    assert results["metrics"]["faithful"]["standing"] == "the judge faithful failed its exam (swap_names, negate)"
    assert page["judges"][0]["verdict"] == "failed"
    assert len(page["judges"][0]["missed"]) == 4
    comment = (project.root / "out.comment").read_text()
    assert "0 of 1 judge passed its exam" in comment
    assert "the judge faithful failed its exam &#40;" in comment or "the judge faithful failed its exam (" in comment


def test_a_judge_that_flips(tmp_path: Path) -> None:
    project = JudgedProject(tmp_path / "project")
    project.judge(
        lambda asked: is_true(asked) if asked.again < 3 or int(asked.sample.id[1:]) % 2 else not is_true(asked), again=3
    )
    done, results, page = run(project)
    assert done.exit_code == 0, done.output
    # On half of the answers one of three verdicts is another: two of three pairs differ.
    assert "33.3% of repeated verdicts flip" in done.output
    assert results["judges"]["faithful"]["flips"] == {"share": pytest.approx(1 / 3), "answers": 60, "verdicts": 3}
    assert page["judges"][0]["flips"]["share"] == pytest.approx(1 / 3)


def test_a_judge_that_was_never_examined(tmp_path: Path) -> None:
    suite = SUITE.replace('[judges.faithful.exam]\nmutants = ["swap_names", "negate"]\nsamples = 20\n', "unexamined = true\n")
    project = JudgedProject(tmp_path / "project", suite=suite)
    project.judge(is_true)
    done, results, page = run(project)
    assert done.exit_code == 0, done.output
    # The gate holds, and every place that shows its number says on what it rests.
    said = " ".join(done.output.split())
    assert said.count("the judge faithful took no exam") == 2
    assert "faithful: the judge faithful took no exam; gates may rest on it all the same (unexamined = true)" in said
    assert results["metrics"]["faithful"]["standing"] == "the judge faithful took no exam"
    assert results["judges"]["faithful"]["unexamined"] is True
    assert "exam" not in results["judges"]["faithful"]
    assert page["judges"][0]["standing"] == "the judge faithful took no exam"
    assert "the judge faithful took no exam" in (project.root / "out.comment").read_text()
    assert not page["models"][0]["unscored"]
    suite_file = project.suite.read_text()
    project.suite.write_text(suite_file.replace("unexamined = true", "unexamined = false"))
    project.run("evals", "-p", "no:xdist").assert_refused("names 'faithful', the metric of a judge without an exam")


def test_a_judge_whose_prompt_changed(tmp_path: Path) -> None:
    project = JudgedProject(tmp_path / "project")
    project.judge(is_true)
    project.edit_suite("Summary: {answer}", "The summary: {answer}")
    done, results, page = run(project)
    assert done.exit_code == 1
    stale = "cassettes/chats/old/faithful/t000.yaml: the judge faithful is asked otherwise now: recorded with another prompt"
    assert stale in done.output
    said = " ".join(done.output.split())
    assert "60 verdicts of the judge faithful are missing, or of another request: pytest evals --record-missing" in said
    assert "140 of 140 verdicts of its exam are not recorded (" in done.output
    assert "Record the rest, 140 calls: pytest evals --record-missing" in done.output
    assert results["judges"]["faithful"]["asked"] == 0
    assert results["judges"]["faithful"]["exam"]["passed"] is None
    assert results["models"]["old"]["gates"]["faithful"]["passed"] is False
    assert page["judges"][0]["verdict"] == "not checked"


def test_a_changed_answer_makes_its_verdict_stale_and_says_so(tmp_path: Path) -> None:
    project = JudgedProject(tmp_path / "project")
    project.judge(is_true)
    project.write_answers(["Ann thanks Bob.", *(answer(row["id"]) for row in rows()[1:])])
    done = project.run("evals", "-p", "no:xdist", "-k", "t000")
    assert "cassettes/chats/old/faithful/t000.yaml: a verdict on another answer of old" in done.output
    assert "Record it: pytest evals -m baseline --record-missing" in done.output


def test_a_judge_half_of_whose_verdicts_cant_be_read(tmp_path: Path) -> None:
    project = JudgedProject(tmp_path / "project")
    project.judge(lambda asked: is_true(asked) if int(asked.sample.id[1:]) % 2 else "I would rather not say.")
    done, results, page = run(project)
    assert done.exit_code == 1
    unread = results["judges"]["faithful"]["unread"]
    assert unread == 30
    assert f"{unread} not scored by faithful" in done.output
    assert f"{unread} can't be read" in done.output
    reason = (
        "the verdict of the judge faithful can't be read: no JSON object with the key 'faithful' in 'I would rather not say.'"
    )
    assert reason in done.output
    assert results["models"]["old"]["scores"]["faithful"]["scored"] == 60 - unread
    assert results["models"]["old"]["gates"]["faithful"]["passed"] is False
    assert results["judges"]["faithful"]["exam"]["unread"] > 0
    assert page["judges"][0]["unread"] == unread


def test_verdicts_that_cant_be_read_count_as_failed_samples(tmp_path: Path) -> None:
    suite = SUITE.replace("faithful = 0.5 }", "faithful = 0.5 }\nallow_failed = 2")
    project = JudgedProject(tmp_path / "project", suite=suite)
    project.judge(lambda asked: "?" if asked.model and asked.sample.id in ("t001", "t002") else is_true(asked))
    done, results, _ = run(project)
    assert "2 failed" in done.output  # Their own tests fail, and say why; the gate allows for two.
    assert results["models"]["old"]["gates"]["faithful"]["passed"] is True
    assert results["judges"]["faithful"]["unread"] == 2
    project.edit_suite("allow_failed = 2", "allow_failed = 1")
    assert run(project)[1]["models"]["old"]["gates"]["faithful"]["passed"] is False
