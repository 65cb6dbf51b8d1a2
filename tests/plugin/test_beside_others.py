"""Beside xdist, syrupy and other plugins: however they are loaded, they see what they would see without us."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support.project import Project
from tests.support.repository import GATE, SUITE, Repository
from tests.support.server import ApiServer

SAMPLE = "def test_sample(prediction):\n    assert prediction.answered, prediction.failure\n"
DECIDED = """
def test_gate(scores, metric):
    assert scores.mean(metric) >= scores.model.gates[metric], str(scores.decision(metric))
"""
SKIPPED = "import pytest\n@pytest.mark.skip(reason='for another day')\ndef test_skipped(prediction): pass\n"
OWN = "def test_own(snapshot, record_property):\n    record_property('pair', (1, 2))\n    assert {'a': 1} == snapshot\n"
GONE = "def test_gone(snapshot): assert 'x' == snapshot\n"
ANOTHER_PLUGIN = """
import json

def pytest_runtest_logreport(report):
    seen = {name: str(getattr(report, name, None)) for name in ("worker_id", "testrun_uid", "item_index", "when", "outcome")}
    seen["location"] = type(report.location).__name__
    seen["properties"] = [type(each).__name__ for each in report.user_properties]
    with open("seen.jsonl", "a") as file:
        file.write(json.dumps([report.nodeid, seen]) + "\\n")

def pytest_report_to_serializable(config, report):
    with open("serialised.jsonl", "a") as file:
        print(report.nodeid, file=file)
"""


@pytest.fixture
def whole(repository: Repository) -> Repository:
    """A repository with sample tests, a skipped one, a gate, accepted scores and snapshots of its own, of which one is unused."""
    repository.configure()
    mine = "def test_scores(scores, accepted):\n    assert scores.accepted == accepted\n"
    repository.write("conftest.py", ANOTHER_PLUGIN)
    repository.write("test_mine.py", SKIPPED + SAMPLE + GATE + mine + OWN + GONE)
    repository.pytest("--snapshot-update", "-pno:xdist").assert_outcomes(passed=8, skipped=4)
    repository.write("test_mine.py", SKIPPED + SAMPLE + GATE + mine + OWN)
    (repository.root / "seen.jsonl").unlink()
    return repository


def test_workers_skips_properties_reports_and_snapshots_are_those_of_any_run(whole: Repository) -> None:
    run = whole.pytest("-n2", "-ra", "--junitxml", "junit.xml")
    run.assert_outcomes(passed=7, skipped=4)
    assert "INTERNALERROR" not in run.output and "Traceback" not in run.output
    assert re.search(r"SKIPPED \[4\] .*test_mine.py:\d+: for another day", run.output), run.output
    skipped = [
        case for case in ElementTree.parse(whole.root / "junit.xml").iter("testcase") if case.find("skipped") is not None
    ]
    assert len(skipped) == 4
    assert "2 snapshots passed. 1 snapshot unused." in run.output, run.output
    assert run.exit_code == 1  # As without us: syrupy fails a run that leaves a snapshot unused.

    seen = [json.loads(line) for line in (whole.root / "seen.jsonl").read_text().splitlines()]
    samples = [one for test, one in seen if "test_sample" in test and one["when"] == "call" and one["worker_id"] != "None"]
    assert len(samples) == 4
    assert {one["worker_id"] for one in samples} <= {"gw0", "gw1"}
    assert all(one["item_index"].isdigit() and len(one["testrun_uid"]) == 32 for one in samples)
    assert {one["location"] for _, one in seen} == {"tuple"}
    assert {kind for _, one in seen for kind in one["properties"]} == {"tuple"}


@pytest.mark.parametrize("name", ["xdist", "xdist.plugin"])
def test_gates_run_whatever_name_xdist_is_loaded_by(repository: Repository, name: str) -> None:
    repository.configure(answers={"r0": "nothing of it", "r1": "nor of this", "r2": "nor that"})
    repository.write("test_mine.py", SAMPLE + GATE)
    loaded = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": f"evaltape.entry,{name},syrupy"}
    run = repository.pytest("-n2", environment=loaded)
    run.assert_outcomes(passed=4, failed=1)
    assert run.exit_code == 1 and "is too little" in run.output


def test_nothing_is_decided_where_asserts_are_left_out(repository: Repository) -> None:
    suite = SUITE.replace("rouge1", "exact")  # Which imports no library, that this Python would have to compile.
    repository.configure(suite=suite, answers={"r0": "nothing of it", "r1": "nor of this", "r2": "nor that"})
    repository.write("test_mine.py", SAMPLE + GATE)
    run = repository.pytest_in_new_interpreter("--assert=plain", "-rs", "--results", "results.json", asserts=False)
    run.assert_outcomes(skipped=5)
    assert "not checked: Python leaves out every assert (-O with --assert=plain)" in run.output, run.output
    assert "1 gate, not checked in this run" in run.output and "hold" not in run.output, run.output
    results = json.loads((repository.root / "results.json").read_text())["suites"]["mine"]
    assert results["models"]["old"]["gates"]["exact"]["passed"] is None
    repository.pytest_in_new_interpreter(asserts=False).assert_outcomes(passed=4, failed=1)  # pytest's own asserts stay.


def test_a_crash_of_a_worker_is_a_failure_of_its_sample_and_gates_wait_for_no_more(repository: Repository) -> None:
    repository.configure()
    crash = "def test_sample(prediction):\n    import os\n    assert prediction.sample.id != 'r1' or os._exit(3)\n"
    repository.write("test_mine.py", crash + GATE)
    run = repository.pytest("-n2", "--max-worker-restart=1")
    assert run.exit_code == 1 and "of no suite" not in run.output, run.output
    assert "1 sample not asked for: worker 'gw" in run.output, run.output
    assert "1 of 1 gate holds" in run.output, run.output  # It reads the answer from the recording.
    repository.write("test_mine.py", "def test_sample(prediction):\n    assert prediction.sample.id != 'r3'\n" + GATE)
    for mode in ("-n2", "-pno:xdist"):
        run = repository.pytest("-x", mode)
        assert run.outcomes["failed"] == 1 and "test_gate" not in run.output, run.output
        assert "1 gate, not checked in this run" in run.output, run.output
    run = repository.pytest("-k", "test_sample and r0")
    assert "1 gate, not checked in this run" in run.output


def test_a_failing_run_is_short_and_has_its_numbers_in_the_short_summary(repository: Repository) -> None:
    answers = {"r0": "nothing of it", "r1": "nor of this", "r2": "nor that"}
    suite = SUITE.replace("rouge1 = {}", "rouge1 = {}\nrouge2 = {}\nrougeL = {}")
    both = '[models.summariser-{}]\npredictions = "old.jsonl"\ngates = {{ rouge1 = 0.5, rouge2 = 0.4, rougeL = 0.3 }}\n'
    suite = suite.split("[models.old]")[0] + both.format("of-the-first-team") + both.format("of-the-second-team")
    repository.configure(suite=suite, answers=answers)
    own = "def test_names(prediction):\n    assert prediction.text.count('Ann') == 1\n"
    repository.write("evals/test_with_a_name.py", own + DECIDED)
    run = repository.pytest("-k", "test_gate or r0", environment={"COLUMNS": "80"})
    run.assert_outcomes(failed=8, deselected=6)
    lines = run.output.splitlines()
    assert len(lines) <= 60, run.output
    assert max(len(line) for line in lines if "pytest" not in line and "plugins:" not in line) <= 80
    summary = [line for line in lines if line.startswith("FAILED")]
    assert summary == [
        "FAILED evals/test_with_a_name.py::test_names - 2 tests: assert 0 == 1",
        "FAILED evals/test_with_a_name.py::test_gate - 6 tests: 0.2500 < 0.5; 0.2500 <...",
    ], summary
    assert "\n  0.2500 < 0.3: summariser-of-the-second-team rougeL: mean under its gate" in run.output, run.output
    run = repository.pytest("-k", "test_gate and first and rouge2", environment={"COLUMNS": "80"})
    assert "FAILED evals/test_with_a_name.py::test_gate - 0.2500 < 0.4: summariser-of-the..." in run.output.splitlines()
    # The id stands there as long as ten characters of the number have room beside it.
    line = "FAILED evals/test_with_a_name.py::test_gate[mine-summariser-of-the-first-team-rouge2] - 0.2500 ..."
    for width, shown in ((len(line), line), (len(line) - 1, "FAILED evals/test_with_a_name.py::test_gate - 0.2500 < 0.4: ")):
        run = repository.pytest("-k", "test_gate and first and rouge2", environment={"COLUMNS": str(width)})
        assert any(each.startswith(shown) for each in run.output.splitlines()), run.output


def test_what_only_shows_tests_calls_nothing(project: Project, api: ApiServer) -> None:
    for words in ("--setup-plan", "--setup-only", "--collect-only", "--fixtures-per-test"):
        run = project.run("evals", "-m", "baseline", "--record", words, key="sk-test")
        assert api.calls == 0, words
        assert run.exit_code in (0, 1, 5) and "INTERNALERROR" not in run.output, run.output
    assert not project.cassettes.exists()


def test_a_file_of_a_step_that_is_not_there_turns_nothing_red(repository: Repository, tmp_path: Path) -> None:
    repository.configure()
    repository.write("test_mine.py", GATE)
    missing = tmp_path / "unmounted/summary.md"
    run = repository.pytest(environment={"GITHUB_STEP_SUMMARY": str(missing)})
    assert run.exit_code == 0, run.output
    assert f"GITHUB_STEP_SUMMARY: {missing} can't be written: " in " ".join(run.output.split())


def test_a_refused_run_leaves_no_file_of_the_run_before(repository: Repository) -> None:
    repository.configure()
    repository.write("test_mine.py", GATE)
    files = ("--results", "results.json", "--report", "report.html", "--comment", "comment.md")
    assert repository.pytest(*files).exit_code == 0
    written = [repository.root / name for name in files[1::2]]
    assert all(path.exists() for path in written)
    assert repository.pytest(*files, "--collect-only").exit_code == 0
    assert all(path.exists() for path in written)  # It writes none, and says nothing of any.
    assert repository.pytest(*files, "--no-such-option").exit_code == 4
    assert not any(path.exists() for path in written)
    for path in written:
        path.write_text("of a run before", encoding="utf-8")
    repository.write("checks/mine.toml", "[dataset]\n")
    assert repository.pytest(*files).exit_code == 4
    assert not any(path.exists() for path in written)


def test_a_user_without_a_home_gets_the_same_scores(repository: Repository) -> None:
    repository.configure(suite=SUITE.replace("rouge1 = {}", "rouge1 = { stemmer = true }\nrougeL = {}"))
    nobody = "import os, pwd\nos.environ.pop('HOME', None)\ndef unknown(uid): raise KeyError(uid)\npwd.getpwuid = unknown\n"
    repository.write("conftest.py", nobody)
    repository.write("test_mine.py", SAMPLE + GATE)
    run = repository.pytest_in_new_interpreter("-pno:xdist")  # It imports nltk.
    run.assert_outcomes(passed=5)
    assert "Traceback" not in run.output


def test_a_test_that_removes_the_folder_it_stands_in_spoils_no_report(repository: Repository) -> None:
    repository.configure()
    leaving = "import os, shutil\ndef test_leaves():\n    os.mkdir('gone'); os.chdir('gone'); os.rmdir(os.getcwd())\n"
    repository.write("test_mine.py", leaving + SAMPLE + GATE)
    run = repository.pytest("--results", "results.json", "--report", "report.html", "-pno:xdist")
    run.assert_outcomes(passed=6)
    assert "INTERNALERROR" not in run.output and "All" not in run.output.split("old:")[0]
    assert (repository.root / "report.html").exists()
