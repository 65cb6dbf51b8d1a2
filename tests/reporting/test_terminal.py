"""What the terminal shows at the end of a run, and how a gate's failure reads."""

import json
import re
import shlex
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from evaltape.text import cut, duration, usd, visible

from tests.support.project import NOWHERE, ROUGE1, ROWS, Project, Run
from tests.support.server import ApiServer
from tests.support.tuning import COMPARISON, TuningProject

TWO_GATES = "gates = { rouge1 = 0.3, rouge2 = 0.5 }"
TABLE = """\
============================ scores: chats (replay) ============================
1 of 2 gates holds
                 mean  95% interval        gate           verdict
first three lines (computed, not recorded): what a model has to beat
  rouge1       0.5436  0.0722 to 0.8580
  rouge2       0.2626  0.0000 to 0.7403
  rougeL       0.4271  0.0000 to 0.7307
small: 6 samples, recorded 2026-09-21
  rouge1       0.6406  0.0792 to 1.0000    0.3            passed
  rouge2       0.3519  0.0000 to 1.0000    0.5            failed
  rougeL       0.5295  0.0000 to 0.9151
  words           3.8  2.0 to 5.1
"""
WORST = """\
------------------------- small rouge2: what hurt most -------------------------
t3  0.0000
  reference:  Coffee before tea, says Kai
  prediction: Kai: tea before coffee
t4  0.0000
  reference:  Nobody came.
  prediction: Ida: hello?
t6  0.0000
  reference:  Gus brings bread
  prediction: Gus: bring bread bread bread
t2  0.4444
  reference:  Mia and Olu have lunch at noon.
  prediction: Mia: lunch at noon
t1  0.6667
  reference:  the red car won the race
  prediction: Ben: the red car won
"""


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory, recording: Path) -> Project:
    """A recorded project of which one gate doesn't hold. Not to be written to."""
    project = Project(tmp_path_factory.mktemp("failing") / "project", NOWHERE).take(recording)
    project.edit_suite("gates = { rouge1 = 0.3 }", TWO_GATES)
    return project


@pytest.fixture(scope="module")
def failed(failing: Project) -> Run:
    """A replay of it."""
    return failing.run("evals", "-m", "baseline", "-p no:xdist")


@pytest.fixture(scope="module")
def failed_in_workers(failing: Project) -> Run:
    """A replay of it in two workers, which writes `junit.xml`, too."""
    return failing.run("evals", "-m", "baseline", "-n 2", "--junit-xml", "junit.xml")


@pytest.fixture(scope="module")
def outdated(tmp_path_factory: pytest.TempPathFactory, recording: Path) -> Project:
    """A recorded project whose prompt has changed since. Not to be written to."""
    project = Project(tmp_path_factory.mktemp("outdated") / "project", NOWHERE).take(recording)
    project.edit_suite("Summarise", "Sum up")
    return project


@pytest.fixture(scope="module")
def refused(outdated: Project) -> Run:
    """A replay of it."""
    return outdated.run("evals", "-m", "baseline", "-p no:xdist")


def scores_of(output: str) -> str:
    """What stands from the score table on."""
    return output[output.index("= scores: ") :]


def test_table_and_the_samples_that_hurt_most(failed: Run, failed_in_workers: Run) -> None:
    for run in (failed, failed_in_workers):
        assert run.exit_code == 1
        assert TABLE + WORST in run.output


def test_the_command_under_failed_samples_reruns_them_and_under_a_gate_there_is_none(project: Project, api: ApiServer) -> None:
    rows = [{"id": "1/2 'x'", "dialogue": "Ida: hello?\nJon: hi", "summary": "Nobody came."}]
    project.write_rows([*rows, {**ROWS[0], "id": "t1"}])
    api.answers["small-2026-01-01"] = lambda prompt: "" if "Ida" in prompt else "no"
    run = project.run("evals", "-m", "baseline", "--record", "-v")
    assert "small rouge1: what hurt most" in run.output
    (command,) = re.findall("^Run them again: pytest (.*)$", run.output, re.MULTILINE)
    project.run(*shlex.split(command)).assert_outcomes(failed=1)


def test_it_fits_80_columns_without_colour(failed: Run) -> None:
    lines = scores_of(failed.output).splitlines()
    assert max(len(line) for line in lines if not line.startswith("Run them again")) <= 80
    assert "\x1b" not in "".join(lines)


def test_verdicts_are_coloured_where_the_terminal_has_colour(failing: Project) -> None:
    output = failing.run("evals", "-m", "baseline", "--color=yes").output
    assert "0.3            \x1b[32mpassed\x1b[0m" in output
    assert "0.5            \x1b[31mfailed\x1b[0m" in output


def test_a_gate_that_was_not_selected_is_shown_as_not_checked(failing: Project) -> None:
    run = failing.run("evals", "-m", "baseline and sample")
    assert run.exit_code == 0
    assert "  rouge2       0.3519  0.0000 to 1.0000    0.5            not checked\n" in run.output
    assert "what hurt most" not in run.output


def test_some_of_the_samples_are_told_from_all(recorded: Project) -> None:
    assert "\nsmall: 2 of 6 samples, recorded 2026-09-21\n" in scores_of(
        recorded.run("evals", "-k", "small-t1 or chats-small-t2").output
    )


def test_a_suite_of_which_nothing_was_selected_is_not_shown(recorded: Project) -> None:
    other = recorded.suite.with_name("other.toml")
    other.write_text(recorded.suite.read_text().replace("[models.small]", "[models.tiny]"))
    both = ("--suite", str(recorded.suite), "--suite", str(other))
    shutil.copytree(recorded.cassettes, recorded.cassettes.with_name("other"))
    (recorded.cassettes.with_name("other") / "small").rename(recorded.cassettes.with_name("other") / "tiny")
    shown = recorded.run("evals", *both).output
    assert "scores: chats (replay)" in shown
    assert "scores: other (replay)" in shown
    assert "scores: other (replay)" not in recorded.run("evals", *both, "-k", "chats-small").output


def test_a_file_that_cannot_be_collected_is_shown_with_and_without_workers(recorded: Project, any_workers: str) -> None:
    (recorded.root / "evals/test_broken.py").write_text("import nothing_of_that_name\n")
    run = recorded.run("evals", any_workers)
    assert run.exit_code == 2
    assert "ERROR collecting evals/test_broken.py" in run.output
    assert "No module named 'nothing_of_that_name'" in run.output


def test_the_days_of_the_recording_are_shown(recorded: Project) -> None:
    cassette = recorded.cassette("t2")
    cassette.write_text(re.sub(r'"created": \d+', '"created": 1767225600', cassette.read_text()))
    run = recorded.run("evals", "-m", "baseline", "--results", "results.json")
    assert "\nsmall: 6 samples, recorded 2026-01-01 to 2026-09-21\n" in run.output
    results = json.loads((recorded.root / "results.json").read_text())
    assert results["suites"]["chats"]["models"]["small"]["recorded"] == ["2026-01-01", "2026-09-21"]


def test_quiet_shows_the_table_alone_and_quieter_nothing(failing: Project) -> None:
    quiet = failing.run("evals", "-m", "baseline", "-q").output
    assert TABLE in quiet
    assert "what hurt most" not in quiet
    assert "scores: chats" not in failing.run("evals", "-m", "baseline", "-qq").output


def test_verbose_cuts_no_text_and_tells_more(project: Project, api: ApiServer) -> None:
    long = "Kai and Lea " + "talk at length of tea and coffee, " * 5 + "and part."
    project.write_rows([{"id": "t1", "dialogue": "Kai: tea\nLea: no", "summary": long}])
    project.run("evals", "-m", "baseline", "--record", "--snapshot-update")
    short = scores_of(project.run("evals", "-m", "baseline").output)
    assert "  reference:  Kai and Lea talk at length of tea and coffee, talk at length of...\n" in short
    verbose = scores_of(project.run("evals", "-m", "baseline", "-v").output)
    assert re.sub(r"\s+", " ", long) in re.sub(r"\s+", " ", verbose)
    assert "small: served as small-2026-01-01, 7 + 2 tokens" in verbose
    assert max(len(line) for line in verbose.splitlines() if "pytest " not in line) <= 80


def test_texts_of_models_never_reach_the_terminal_raw(project: Project, api: ApiServer) -> None:
    api.answers["small-2026-01-01"] = lambda prompt: "\x1b[2J\x07gone\r\nred \u202eevil \x9b31m"
    run = project.run("evals", "-m", "baseline", "--record", "--snapshot-update")
    assert r"prediction: \x1b[2J\x07gone\r\nred \u202eevil \x9b31m" in run.output
    assert not set("\x1b\x07\r\u202e\x9b") & set(scores_of(run.output))


def test_failed_samples_are_counted_and_named_with_their_reason(project: Project, api: ApiServer) -> None:
    api.fault("refusal", match="tea")
    api.fault("truncated", match="bread")
    run = project.run("evals", "-m", "baseline", "--record", "--snapshot-update")
    assert "\nsmall: 6 samples, 1 truncated, recorded 2026-09-21, 1 failed (0 allowed)\n" in scores_of(run.output)
    assert "\n1 sample: the model refused\n" in scores_of(run.output)  # A cause without a command.
    assert "t3  failed\n  reference:  Coffee before tea, says Kai\n  reason:     the model refused: " in run.output
    project.edit_suite("gates = { rouge1 = 0.3 }", "gates = { rouge1 = 0.3 }\nallow_failed = 1")
    run = project.run("evals", "-m", "baseline")
    assert "1 failed (1 allowed)" in run.output
    assert "what hurt most" not in run.output


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory, tuned_recording: Path) -> tuple[Run, Path]:
    """A replay of a tuned project that compares its models, on six samples: too few to pass. And its `junit.xml`."""
    with ApiServer() as api:
        project = TuningProject(tmp_path_factory.mktemp("compared") / "project", api)
        project.take(tuned_recording)
        project.extend_suite(COMPARISON)
        run = project.run("evals", "--junit-xml", "junit.xml")
        project.end()
    return run, project.root / "junit.xml"


def test_comparisons_and_jobs_stand_in_the_table(compared: tuple[Run, Path]) -> None:
    run, _ = compared
    assert run.exit_code == 1, run.output
    shown = scores_of(run.output)
    assert "2 of 2 gates hold; 0 of 1 comparison passed, 1 inconclusive\n" in shown
    assert "tuning-helps: tuned less small: 6 samples, 90% interval\n" in shown
    assert "  rouge1      +0.3594  +0.0660 to +1.0000  min_gain 0.02  inconclusive\n" in shown
    assert re.search(r"  words +\+0\.5  [-+]\d\.\d to [-+]\d\.\d\n", shown)
    assert "tuning-helps rouge1 is inconclusive: 6 pairs: it takes 10 to pass" in shown
    job = "job tuned: ftjob-0002, succeeded, 2,100 trained tokens, ft:small-2026-01-01:"
    assert job in re.sub(r"\n +", " ", shown)


def test_an_interval_is_labelled_by_what_its_ends_are(tuned: TuningProject) -> None:
    tuned.extend_suite(f"{COMPARISON}confidence = 0.999\n")
    assert "tuning-helps: tuned less small: 6 samples, 99.8% interval\n" in scores_of(tuned.run("evals").output)


def test_a_comparison_that_fails_names_the_samples_that_lost_most(tuned: TuningProject) -> None:
    tuned.extend_suite('\n[compare.smaller]\nbaseline = "tuned"\ncandidate = "small"\nmax_drop = { rouge1 = 0.0 }\n')
    run = tuned.run("evals")
    shown = scores_of(run.output)
    assert "  rouge1      -0.3594  -1.0000 to -0.0660  max_drop 0     failed\n" in shown
    assert "-------------------- smaller rouge1: where small lost most ---------------------\n" in shown
    assert "t4  -1.0000 (1.0000 to 0.0000)\n  reference:  Nobody came.\n  baseline:   Nobody came.\n" in shown
    assert "\n-0.3594 failed: smaller rouge1: small less tuned (90% interval " in run.output
    not_run = scores_of(tuned.run("evals", "-m", "sample").output)
    assert re.search(r"max_drop 0 +not checked\n", not_run)


def test_the_recording_says_what_it_cost_only_where_the_suite_states_prices(recorded: Project) -> None:
    assert " cost " not in scores_of(recorded.run("evals", "-m", "baseline").output)
    recorded.extend_suite("price = { input = 1000.0, output = 2000.0 }\n")
    output = recorded.run("evals", "-m", "baseline", "-v").output
    tokens = re.search(r"(\d+) \+ (\d+) tokens", output)
    cost = int(tokens[1]) * 1000 / 1e6 + int(tokens[2]) * 2000 / 1e6
    assert f"The recording cost ${cost:.4f}.\n" in output


def test_without_a_terminal_reporter_all_else_goes_on(recorded: Project) -> None:
    assert recorded.results("-p", "no:terminal")["models"]["small"]["samples"] == 6


def test_a_failed_gate_begins_with_what_failed(failed: Run) -> None:
    output = failed.output
    message = "0.3519 < 0.5: small rouge2: mean under its gate (95% interval 0.0000 to 1.0000, 6 samples)"
    assert re.search(rf"^_+ test_gate\[chats-small-rouge2\] _+\n{re.escape(message)}\n=", output, re.MULTILINE), output
    (line,) = [line for line in output.splitlines() if line.startswith("FAILED")]
    assert line == "FAILED evals/test_baseline.py::test_gate[chats-small-rouge2] - 0.3519 < 0.5: ..."
    assert len(line) <= 80


def test_junit_xml_carries_the_scores(failing: Project, failed_in_workers: Run) -> None:
    cases = {case.get("name"): case for case in ElementTree.parse(failing.root / "junit.xml").iter("testcase")}
    told = {name: {one.get("name"): float(one.get("value")) for one in case.iter("property")} for name, case in cases.items()}
    assert [told[f"test_sample[chats-small-t{n}]"]["rouge1"] for n in range(1, 7)] == pytest.approx(ROUGE1)
    mean = sum(ROUGE1) / 6
    assert told["test_gate[chats-small-rouge1]"] == {"rouge1": pytest.approx(mean), "gate": 0.3, "samples": 6, "failed": 0}
    assert told["test_scores[chats-small]"]["rouge1"] == pytest.approx(mean)
    failure = cases["test_gate[chats-small-rouge2]"].find("failure")
    assert failure.get("message").startswith("0.3519 < 0.5: small rouge2: mean under its gate")


def test_junit_xml_carries_comparisons(compared: tuple[Run, Path]) -> None:
    _, junit = compared
    cases = {case.get("name"): case for case in ElementTree.parse(junit).iter("testcase")}
    properties = cases["test_compare[chats-tuning-helps-rouge1]"].iter("property")
    numbers = {each.get("name"): float(each.get("value")) for each in properties}
    assert numbers["rouge1"] == pytest.approx(1 - sum(ROUGE1) / 6)
    assert (numbers["min_gain"], numbers["samples"]) == (0.02, 6)
    assert numbers["low"] < numbers["rouge1"] < numbers["high"]


# ---------------------------------------------------------------- gates of the user's own, and slices

OWN = """\
import pytest

def test_names(scores):
    assert "Mia" in scores.predictions[1].text

def test_length(scores):
    assert max(scores.column("rouge1")) < 0.9

def test_short(prediction):
    assert len(prediction.text.split()) < 5
"""


def test_gates_that_users_wrote_count_in_the_headline_and_stand_in_the_table(recorded: Project) -> None:
    (recorded.root / "evals/test_own.py").write_text(OWN)
    run = recorded.run("evals", "-m", "baseline", "-n 2")
    shown = scores_of(run.output)
    assert "\n2 of 3 gates hold; 2 other tests of the suite failed\n" in shown
    assert re.search(r"\n  evals/test_own\.py::test_names\[chats-small\] +passed\n", shown)
    assert re.search(r"\n  evals/test_own\.py::test_length\[chats-small\] +failed\n", shown)


def test_a_run_that_fails_elsewhere_does_not_say_that_all_gates_hold(recorded: Project) -> None:
    recorded.edit_suite("gates = { rouge1 = 0.3 }", "gates = { rouge1 = 0.3, rouge2 = 0.3 }")
    assert "\nAll 2 gates hold\n" in scores_of(recorded.run("evals", "-m", "baseline", "-n 2").output)
    (recorded.root / "evals/test_else.py").write_text("def test_else():\n    assert 1 == 2\n")
    run = recorded.run("evals", "-n 2")
    assert run.exit_code == 1
    assert "\n2 of 2 gates hold; 1 test of no suite failed\n" in scores_of(run.output)


def test_a_gate_that_its_fixtures_fail_is_a_failed_gate(recorded: Project) -> None:
    with (recorded.root / "evals/conftest.py").open("w") as conftest:
        conftest.write("import pytest\n@pytest.fixture\ndef scores(scores):\n    raise OSError('no disk')\n")
    run = recorded.run("evals", "-m", "baseline")
    assert "\n0 of 1 gate holds" in scores_of(run.output)
    assert re.search(r"  rouge1 .* 0\.3 +failed\n", scores_of(run.output))


def test_gates_that_samples_leaves_out_are_not_checked(recorded: Project) -> None:
    (recorded.root / "evals/test_own.py").write_text(OWN)
    shown = scores_of(recorded.run("evals", "-m", "baseline", "--samples", "2").output)
    assert "\n3 gates, not checked in this run" in shown
    assert re.search(r"test_names\[chats-small\] +not checked\n", shown)


def test_where_less_is_better_a_gate_is_the_most(recorded: Project) -> None:
    recorded.extend_suite("\n[metrics]\nrouge1 = {}\nwords = {}\n")
    recorded.edit_suite("gates = { rouge1 = 0.3 }", "gates = { rouge1 = 0.3, words = 3.5 }")
    run = recorded.run("evals", "-m", "baseline")
    assert "  words           3.8  2.0 to 5.1          at most 3.5    failed\n" in scores_of(run.output)
    assert "small words: what hurt most" in run.output
    assert "\nt6  5.0\n" in run.output
    assert "\n3.8 > 3.5: small words: mean over its gate" in run.output


def test_slices_stand_in_a_table_of_their_own(recorded: Project) -> None:
    rows = [{**ROWS[n % 2], "id": f"s{n}", "topic": "travel" if n < 20 else "food"} for n in range(24)]
    recorded.write_rows(rows)
    recorded.edit_suite('talks.jsonl"', 'talks.jsonl"\nslices = ["topic"]')
    recorded.edit_suite("gates = { rouge1 = 0.3 }", "gates = { rouge1 = 0.3 }\nslice_gates = { rouge1 = 0.9, rouge2 = 0.1 }")
    recorded.run("evals", "-m", "baseline", "--record-missing", "--snapshot-update")
    run = recorded.run("evals", "-m", "baseline", "--results", "results.json")
    shown = scores_of(run.output)
    assert "\n2 of 3 gates hold\n" in shown
    assert "small rouge1 by topic: 2 slices, 1 too small for a gate\n" in shown
    assert re.search(r"  travel \(20\) +0\.7273  0\.\d{4} to 0\.\d{4} +0\.9 +failed\n", shown)
    assert re.search(r"  food \(4\) +0\.7273  0\.\d{4} to 0\.\d{4}\n", shown)
    assert re.search(r"  travel \(20\) +0\.5556  0\.\d{4} to 0\.\d{4} +0\.1 +passed\n", shown)
    assert "\n1 slice wholly under slice gate 0.9: small rouge1: topic travel 0.7273 " in run.output
    results = json.loads((recorded.root / "results.json").read_text())
    slices = results["suites"]["chats"]["models"]["small"]["slices"]["topic"]
    assert {value: (each["samples"], each["gated"]) for value, each in slices.items()} == {
        "travel": (20, True),
        "food": (4, False),
    }


# ---------------------------------------------------------------- one cause, one line


@pytest.mark.parametrize("workers", ["no xdist", "n2"])
def test_what_one_cause_did_to_many_samples_is_said_once(outdated: Project, refused: Run, workers: str) -> None:
    run = outdated.run("evals", "-m", "baseline", "-n 2") if workers == "n2" else refused
    run.assert_outcomes(failed=8)
    assert run.output.count("test_sample") == 2
    section, summary = run.output.split("= FAILURES =")[1].split("= short test summary info =")
    assert "_ test_sample: 6 tests _" in section
    assert section.count("6 recordings are of another prompt") == 2
    assert "\n6 recordings are of another prompt: pytest evals --record-missing\n" in section
    line = summary.splitlines()[1]
    assert line == "FAILED evals/test_baseline.py::test_sample - 6 recordings are of another prompt"
    assert len(line) <= 80


def test_the_command_that_a_cause_ends_with_mends_it(recorded: Project, refused: Run) -> None:
    recorded.edit_suite("Summarise", "Sum up")
    command = re.search("^6 recordings are of another prompt: pytest (.*)$", refused.output, re.MULTILINE)
    recorded.run(*shlex.split(command[1])).assert_outcomes(passed=8)
    recorded.run("evals", "-m", "baseline").assert_outcomes(passed=8)


def test_each_cause_is_counted_apart(recorded: Project, api: ApiServer) -> None:
    recorded.cassette("t1").unlink()
    recorded.cassette("t2").unlink()
    recorded.cassette("t3").write_text("no cassette")
    recorded.cassette("t4").write_text(recorded.cassette("t5").read_text())
    shown = scores_of(recorded.run("evals", "-m", "baseline").output)
    for line in (
        "2 samples are not recorded: pytest evals --record-missing",
        "1 recording can't be read: pytest evals --record-missing",
        "1 recording is of another prompt: pytest evals --record-missing",
    ):
        assert f"\n{line}\n" in shown


def test_very_verbose_shows_each_failure_as_pytest_does(outdated: Project) -> None:
    for option in ("-vv", "--tb=short", "--tb=long"):
        run = outdated.run("evals", "-m", "baseline", option)
        run.assert_outcomes(failed=8)
        assert len(re.findall("^_+ test_sample", run.output, re.MULTILINE)) == 6, option
        assert run.output.count("assert prediction.answered, prediction.failure") == 6, option


def test_without_tracebacks_the_short_summary_says_it_once(outdated: Project) -> None:
    for option in ("--tb=no", "--tb=line"):
        run = outdated.run("evals", "-m", "baseline", option)
        assert run.output.count("FAILED evals/test_baseline.py::test_sample") == 1, option


def test_other_reports_of_failures_keep_each_of_them(recorded: Project) -> None:
    recorded.edit_suite("Summarise", "Sum up")
    recorded.run("evals", "-m", "baseline", "--junit-xml", "junit.xml")
    cases = ElementTree.parse(recorded.root / "junit.xml").iter("testcase")
    failures = {case.get("name"): case.find("failure").get("message") for case in cases}
    assert len(failures) == 8
    assert failures["test_sample[chats-small-t3]"].startswith("cassettes/chats/small/t3.yaml: recorded with another prompt")
    recorded.edit_suite("Sum up", "Summarise")
    recorded.run("evals", "--lf").assert_outcomes(passed=8)


def test_samples_that_wait_for_a_job_that_failed_have_one_cause(tuned: TuningProject) -> None:
    tuned.job_cassette.unlink()
    run = tuned.run("evals", "-m", "finetuned")
    assert run.exit_code == 1
    assert len(re.findall("^(FAILED|ERROR) .*test_sample", run.output, re.MULTILINE)) == 1
    assert "6 samples not recorded: cassettes/chats/tuned/job.yaml: there is no such recording: pytest evals" in " ".join(
        scores_of(run.output).split()
    )


# ---------------------------------------------------------------- numbers and texts


def test_texts_are_cut_to_columns_not_to_characters() -> None:
    assert cut("好的" * 10, 12) == "好的好的..."
    assert cut("🙂" * 6, 12) == "🙂" * 6
    assert cut("e\u0301" * 12, 12) == "e\u0301" * 12


def test_visible_keeps_scripts_and_emoji_as_they_are() -> None:
    for text in ("ça va, Zoë?", "می\u200cخواهم", "👩\u200d🔬 🙂", "好的"):
        assert visible(text) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "$0.00"), (0.00001, "under $0.0001"), (0.0072, "$0.0072"), (1234.5, "$1,234.50")]
)
def test_amounts_of_money(amount: float, text: str) -> None:
    assert usd(amount) == text
