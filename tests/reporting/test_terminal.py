"""What the terminal shows at the end of a run, and how a gate's failure reads."""

import re
import shlex
import xml.etree.ElementTree as ElementTree

import pytest
from evaltape.reporting.scoreboard import Line
from evaltape.text import cut, duration, usd, visible

from tests.support.project import ROUGE1
from tests.support.tuning import COMPARISON

TWO_GATES = "gates = { rouge1 = 0.3, rouge2 = 0.5 }"
TABLE = """\
============================ scores: chats (replay) ============================
                 mean  95% interval        gate           verdict
first three lines (computed, not recorded): what a model has to beat
  rouge1       0.5436  0.0722 to 0.8580
  rouge2       0.2626  0.0000 to 0.7403
  rougeL       0.4271  0.0000 to 0.7307
small: 6 samples
  rouge1       0.6406  0.0792 to 1.0000    0.3            passed
  rouge2       0.3519  0.0000 to 1.0000    0.5            failed
  rougeL       0.5295  0.0000 to 0.9151
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
Run them again: pytest evals -m baseline -k 'small-t3 or small-t4 or small-t6 or small-t2 or small-t1'
"""


@pytest.fixture
def failing(recorded):
    """A recorded project of which one gate doesn't hold."""
    recorded.edit_suite("gates = { rouge1 = 0.3 }", TWO_GATES)
    return recorded


def scores_of(output: str) -> str:
    """What stands from the score table on."""
    return output[output.index("= scores: ") :]


def test_table_and_the_samples_that_hurt_most(failing, workers):
    run = failing.run("evals", "-m", "baseline", workers)
    assert run.exit_code == 1
    assert TABLE + WORST in run.output


def test_the_command_under_a_failed_gate_reruns_these_samples(failing):
    run = failing.run("evals", "-m", "baseline")
    command = re.search("^Run them again: pytest (.*)$", run.output, re.MULTILINE)
    again = failing.run(*(f"-k={word}" if " or " in word else word for word in shlex.split(command[1]) if word != "-k"))
    again.assert_outcomes(passed=5, deselected=4)


def test_samples_with_ids_that_no_expression_can_name_are_rerun_by_their_test_ids(project, api):
    project.write_rows([{"id": "1/2", "dialogue": "Ida: hello?\nJon: hi", "summary": "Nobody came."}])
    run = project.run("evals", "-m", "baseline", "--record", "--snapshot-update")
    command = re.search("^Run them again: pytest (.*)$", run.output, re.MULTILINE)
    assert command[1] == "'evals/test_baseline.py::test_sample[small-1%2F2]'"
    project.run(*shlex.split(command[1])).assert_outcomes(passed=1)


def test_it_fits_80_columns_without_colour(failing):
    lines = scores_of(failing.run("evals", "-m", "baseline").output).splitlines()
    assert max(len(line) for line in lines if not line.startswith("Run them again")) <= 80
    assert "\x1b" not in "".join(lines)


def test_verdicts_are_coloured_where_the_terminal_has_colour(failing):
    output = failing.run("evals", "-m", "baseline", "--color=yes").output
    assert "0.3            \x1b[32mpassed\x1b[0m" in output
    assert "0.5            \x1b[31mfailed\x1b[0m" in output


def test_a_gate_that_was_not_selected_is_shown_as_not_checked(failing):
    run = failing.run("evals", "-m", "baseline and sample")
    assert run.exit_code == 0
    assert "  rouge2       0.3519  0.0000 to 1.0000    0.5            not checked\n" in run.output
    assert "what hurt most" not in run.output


def test_some_of_the_samples_are_told_from_all(recorded):
    assert "\nsmall: 2 of 6 samples\n" in recorded.run("evals", "-k", "small-t1 or small-t2").output


def test_quiet_shows_the_table_alone_and_quieter_nothing(failing):
    quiet = failing.run("evals", "-m", "baseline", "-q").output
    assert TABLE in quiet
    assert "what hurt most" not in quiet
    assert "scores: chats" not in failing.run("evals", "-m", "baseline", "-qq").output


def test_verbose_cuts_no_text_and_tells_more(project, api):
    long = "Kai and Lea " + "talk at length of tea and coffee, " * 5 + "and part."
    project.write_rows([{"id": "t1", "dialogue": "Kai: tea\nLea: no", "summary": long}])
    project.run("evals", "-m", "baseline", "--record", "--snapshot-update")
    short = scores_of(project.run("evals", "-m", "baseline").output)
    assert "  reference:  Kai and Lea talk at length of tea and coffee, talk at length of...\n" in short
    verbose = scores_of(project.run("evals", "-m", "baseline", "-v").output)
    assert re.sub(r"\s+", " ", long) in re.sub(r"\s+", " ", verbose)
    assert "small: served as small-2026-01-01, 7 + 2 tokens" in verbose
    assert max(len(line) for line in verbose.splitlines() if "pytest evals" not in line) <= 80


def test_texts_of_models_never_reach_the_terminal_raw(project, api):
    api.answers["small-2026-01-01"] = lambda prompt: "\x1b[2J\x07gone\r\nred \u202eevil \x9b31m"
    run = project.run("evals", "-m", "baseline", "--record", "--snapshot-update")
    assert r"prediction: \x1b[2J\x07gone\r\nred \u202eevil \x9b31m" in run.output
    assert not set("\x1b\x07\r\u202e\x9b") & set(scores_of(run.output))


def test_failed_samples_are_counted_and_named_with_their_reason(project, api):
    api.fault("refusal", match="tea")
    api.fault("truncated", match="bread")
    run = project.run("evals", "-m", "baseline", "--record", "--snapshot-update")
    assert "\nsmall: 6 samples, 1 truncated, 1 failed (0 allowed)\n" in run.output
    assert "t3  failed\n  reference:  Coffee before tea, says Kai\n  reason:     the model refused: " in run.output
    project.edit_suite("gates = { rouge1 = 0.3 }", "gates = { rouge1 = 0.3 }\nallow_failed = 1")
    run = project.run("evals", "-m", "baseline")
    assert "1 failed (1 allowed)" in run.output
    assert "what hurt most" not in run.output


@pytest.fixture
def compared(tuned):
    """A tuned project that compares its models, on six samples: too few to pass."""
    tuned.extend_suite(COMPARISON)
    return tuned


def test_comparisons_and_jobs_stand_in_the_table(compared):
    run = compared.run("evals")
    assert run.exit_code == 1, run.output
    shown = scores_of(run.output)
    assert "tuning-helps: tuned less small: 6 samples, 90% interval\n" in shown
    assert "  rouge1      +0.3594  +0.0660 to +1.0000  min_gain 0.02  inconclusive\n" in shown
    job = "job tuned: ftjob-0002, succeeded, 2,100 trained tokens, ft:small-2026-01-01:"
    assert job in re.sub(r"\n +", " ", shown)


def test_an_interval_is_labelled_by_what_its_ends_are(compared):
    compared.edit_suite("min_gain = { rouge1 = 0.02 }", "min_gain = { rouge1 = 0.02 }\nconfidence = 0.999")
    assert "tuning-helps: tuned less small: 6 samples, 99.8% interval\n" in scores_of(compared.run("evals").output)


def test_a_comparison_that_fails_names_the_samples_that_lost_most(tuned):
    tuned.extend_suite('\n[compare.smaller]\nbaseline = "tuned"\ncandidate = "small"\nmax_drop = { rouge1 = 0.0 }\n')
    shown = scores_of(tuned.run("evals").output)
    assert "  rouge1      -0.3594  -1.0000 to -0.0660  max_drop 0     failed\n" in shown
    assert "-------------------- smaller rouge1: where small lost most ---------------------\n" in shown
    assert "t4  -1.0000 (1.0000 to 0.0000)\n  reference:  Nobody came.\n  baseline:   Nobody came.\n" in shown
    not_run = scores_of(tuned.run("evals", "-m", "sample").output)
    assert re.search(r"max_drop 0 +not checked\n", not_run)


def test_the_recording_says_what_it_cost_only_where_the_suite_states_prices(recorded):
    assert " cost " not in scores_of(recorded.run("evals", "-m", "baseline").output)
    recorded.extend_suite("price = { input = 1000.0, output = 2000.0 }\n")
    # Six prompts of 52 words in all, six answers of 24.
    tokens = re.search(r"(\d+) \+ (\d+) tokens", recorded.run("evals", "-m", "baseline", "-v").output)
    cost = int(tokens[1]) * 1000 / 1e6 + int(tokens[2]) * 2000 / 1e6
    assert f"The recording cost ${cost:.4f}.\n" in recorded.run("evals", "-m", "baseline").output


def test_without_a_terminal_reporter_all_else_goes_on(recorded):
    assert recorded.results("-p", "no:terminal")["models"]["small"]["samples"] == 6


def test_a_failed_gate_begins_with_what_failed(failing):
    output = failing.run("evals", "-m", "baseline").output
    errors = [line for line in output.splitlines() if line.startswith("E  ")]
    message = "small rouge2: mean 0.3519 under gate 0.5 (95% interval 0.0000 to 1.0000, 6 samples)"
    assert errors[0] == f"E       AssertionError: {message}"
    assert max(map(len, errors[1:])) < 70
    assert "FAILED evals/test_baseline.py::test_gate[small-rouge2] - small rouge2: mean " in output


def test_junit_xml_carries_the_scores(failing, workers):
    failing.run("evals", "-m", "baseline", "--junit-xml", "junit.xml", workers)
    cases = {case.get("name"): case for case in ElementTree.parse(failing.root / "junit.xml").iter("testcase")}
    told = {name: {one.get("name"): float(one.get("value")) for one in case.iter("property")} for name, case in cases.items()}
    assert [told[f"test_sample[small-t{n}]"]["rouge1"] for n in range(1, 7)] == pytest.approx(ROUGE1)
    mean = sum(ROUGE1) / 6
    assert told["test_gate[small-rouge1]"] == {"rouge1": pytest.approx(mean), "gate": 0.3, "samples": 6, "failed": 0}
    assert told["test_scores[small]"]["rouge1"] == pytest.approx(mean)
    failure = cases["test_gate[small-rouge2]"].find("failure")
    assert failure.get("message").startswith("small rouge2: mean 0.3519 under gate 0.5")


def test_junit_xml_carries_comparisons(compared):
    compared.run("evals", "--junit-xml", "junit.xml")
    cases = {case.get("name"): case for case in ElementTree.parse(compared.root / "junit.xml").iter("testcase")}
    told = {one.get("name"): float(one.get("value")) for one in cases["test_compare[tuning-helps-rouge1]"].iter("property")}
    assert told["rouge1"] == pytest.approx(1 - sum(ROUGE1) / 6)
    assert (told["bound"], told["samples"]) == (0.02, 6)
    assert told["low"] < told["rouge1"] < told["high"]


# ---------------------------------------------------------------- numbers and texts


def test_a_mean_just_under_its_gate_never_looks_like_it():
    assert Line("rouge1", 0.3799996, 0.3, 0.5, "", 0.38).shown_value == "0.3799996"
    assert Line("rouge1", 0.38, 0.3, 0.5, "", 0.38).shown_value == "0.3800"
    assert Line("rougeL", -0.020001, -0.1, 0.1, "max_drop", 0.02, signed=True).shown_value == "-0.020001"


def test_texts_are_cut_to_columns_not_to_characters():
    assert cut("好的" * 10, 12) == "好的好的..."
    assert cut("🙂" * 6, 12) == "🙂" * 6
    assert cut("e\u0301" * 12, 12) == "e\u0301" * 12


def test_visible_keeps_scripts_and_emoji_as_they_are():
    for text in ("ça va, Zoë?", "می\u200cخواهم", "👩\u200d🔬 🙂", "好的"):
        assert visible(text) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "$0.00"), (0.00001, "under $0.0001"), (0.0072, "$0.0072"), (1234.5, "$1,234.50")]
)
def test_amounts_of_money(amount, text):
    assert usd(amount) == text
