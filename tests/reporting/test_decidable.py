"""What `--estimate` says of comparisons: what the samples can decide, and how many a bound needs."""

import math
import statistics
from pathlib import Path

import pytest
from evaltape.reporting.decidable import Decidable, Spread
from evaltape.scoring.paired import pairs_needed, smallest_difference
from evaltape.suite.reader import load_suite

from tests.support.decisions import MAX_DROP, paired
from tests.support.metrics import metrics
from tests.support.options import estimate_of
from tests.support.project import ROUGE1, Project
from tests.support.tuning import COMPARISON, TuningProject

AGAINST = "\n[against]\nmax_drop = { rouge1 = 0.02 }\n"
REPOSITORY = Path(__file__).parents[2]
SPREADS = {"rouge1": 0.163, "rougeL": 0.140}
"""Of the shipped recordings' pairs, a model before and after tuning."""


@pytest.fixture
def compared(tuned: TuningProject) -> TuningProject:
    """A project with recordings of both sides of a comparison, six samples each."""
    tuned.extend_suite(COMPARISON)
    return tuned


def rows(project: Project, *args: str) -> tuple[list[list[str]], str]:
    """The table's lines after its two headings, as words, and what stands beneath it."""
    return table_of(estimate_of(project, *args))


def rows_of_run(project: Project, *args: str) -> tuple[list[list[str]], str]:
    """As `rows`, as a run of some tests shows it."""
    run = project.run("evals", "--estimate", "-p", "no:xdist", *args)
    assert run.exit_code == 0, run.output
    return table_of(run.output.splitlines())


def table_of(lines: list[str]) -> tuple[list[list[str]], str]:
    start = next((number for number, line in enumerate(lines) if "can decide, in 80% of cases:" in line), None)
    if start is None:
        return [], ""
    end = next(number for number in range(start, len(lines)) if lines[number].startswith("decides: "))
    assert max(map(len, lines[start:end])) <= 80
    return [line.split() for line in lines[start + 2 : end]], " ".join(" ".join(lines[end:]).split())


def test_without_a_recording_a_spread_is_guessed_and_says_so(project: Project) -> None:
    project.extend_suite(AGAINST)
    (row,), notes = rows(project)
    # Six samples decide nothing: no comparison passes on fewer than 10 pairs.
    assert row == ["small", "rouge1", "(against)", "0.1400", "guessed", "nothing", "max_drop", "0.02", "307"]
    assert pairs_needed(0.14, 0.02) == 307
    assert "A spread is guessed where nothing is recorded: 0.14 of the metric's range, 0.45 of scores that are 0 or 1." in notes
    assert "Too few samples, so that it will mostly stay inconclusive: small rouge1 (against)." in notes


def test_the_spread_of_a_comparison_is_that_of_both_models_recordings(compared: TuningProject) -> None:
    (row,), notes = rows(compared)
    # The tuned model answers with the references.
    spread = statistics.stdev(1 - score for score in ROUGE1)
    assert row[:4] == ["tuning-helps", "rouge1", f"{spread:.4f}", "recorded"]
    assert row[-3:] == ["min_gain", "0.02", f"{pairs_needed(spread, 0.02):,}"]
    assert "guessed" not in notes


def test_a_changed_prompt_leaves_the_recorded_spread(compared: TuningProject) -> None:
    compared.edit_suite("Summarise this conversation.", "Say what happens.")
    assert rows(compared)[0][0][3] == "recorded"


def test_changed_samples_are_no_part_of_the_spread(compared: TuningProject) -> None:
    before = rows(compared)[0][0][2]
    text = compared.data.read_text(encoding="utf-8")
    compared.data.write_text(text.replace("Nobody came.", "Someone came."), encoding="utf-8")
    assert rows(compared, "--record")[0][0][2] != before


def test_a_part_of_the_samples_is_compared_with_nothing(compared: TuningProject) -> None:
    assert rows_of_run(compared, "--samples", "3") == ([], "")


def test_models_that_are_not_selected_are_not_told_of(compared: TuningProject) -> None:
    compared.extend_suite(AGAINST)
    assert [row[0] for row in rows_of_run(compared, "-m", "baseline")[0]] == ["tuning-helps", "small"]


def test_it_is_said_where_nothing_would_be_called_too(compared: TuningProject) -> None:
    lines, _ = rows(compared, "--record-missing")
    assert [row[0] for row in lines] == ["tuning-helps"]


def test_a_metric_without_bounds_has_no_spread_to_guess(project: Project) -> None:
    project.extend_suite("\n[metrics]\nwords = {}\n\n[against]\nmax_drop = { words = 2 }\n")
    project.edit_suite("gates = { rouge1 = 0.3 }", "")
    (row,), _ = rows(project)
    assert row == ["small", "words", "(against)", "unknown", "-", "max_drop", "2", "-"]


def test_answers_from_a_file_are_told_of_and_scores_of_0_and_1_scatter_more(project: Project) -> None:
    (project.root / "evals/suites/old.jsonl").write_text('{"id": "t1", "prediction": "a"}\n')
    project.extend_suite(
        '\n[models.old]\npredictions = "old.jsonl"\nallow_failed = 6\n'
        "\n[metrics]\nexact = {}\n\n[against]\nmax_drop = { exact = 0.02 }\n"
    )
    project.edit_suite("gates = { rouge1 = 0.3 }", "")
    (row,), notes = rows_of_run(project, "-k", "old")
    assert row[:5] == ["old", "exact", "(against)", "0.4500", "guessed"]
    assert "0.45 of scores that are 0 or 1" in notes


# ---------------------------------------------------------------- the arithmetic


def bound(sd: float, samples: int, per_cluster: float = 1.0) -> Decidable:
    metric = metrics({"rougeL": {}})["rougeL"]
    return Decidable(paired(MAX_DROP, "rougeL", 0.02), samples, metric, Spread(sd, False, per_cluster))


def test_it_decides_and_needs_what_the_formulas_of_power_say() -> None:
    assert bound(0.14, 200).smallest == smallest_difference(0.14, 200)
    assert bound(0.14, 200).smallest == pytest.approx(0.0248, abs=5e-5)
    assert bound(0.14, 200).needed == pairs_needed(0.14, 0.02)


def test_so_many_samples_decide_the_bound() -> None:
    needed = bound(0.14, 200).needed
    assert needed is not None
    assert (bound(0.14, needed).smallest or math.inf) <= 0.02 < (bound(0.14, needed - 1).smallest or math.inf)


def test_samples_in_clusters_decide_less() -> None:
    assert (bound(0.14, 200, per_cluster=10).smallest or 0) > (bound(0.14, 200).smallest or math.inf)


# ---------------------------------------------------------------- the suites that are shipped


@pytest.mark.parametrize("name", ["chats", "samsum"])
def test_every_bound_of_the_shipped_suites_can_be_decided_with_its_samples(name: str) -> None:
    suite = load_suite(REPOSITORY / f"evals/suites/{name}.toml")
    for comparison in suite.comparisons.values():
        for metric, value in {**comparison.min_gain, **comparison.max_drop}.items():
            needed = pairs_needed(SPREADS[metric], value, confidence=comparison.confidence)
            assert needed is not None and needed <= (suite.dataset.samples or 200), (comparison.key, metric)


def test_repeated_answers_tell_the_spread_between_two_recordings(recorded: Project) -> None:
    recorded.extend_suite(AGAINST)
    text = recorded.cassette("t1").read_text()
    recorded.cassette("t1.repeat-2").write_text(text.replace('"content": "Ben: the red car won"', '"content": "none of it"'))
    (row,), _ = rows(recorded)
    # One of six samples has two answers, of 8/11 and 0; their variance stands for that of every sample.
    spread = math.sqrt(2 * statistics.variance([8 / 11, 0]))
    assert row[3:5] == [f"{spread:.4f}", "recorded"]


def test_answers_that_were_repeated_alike_tell_no_spread(recorded: Project) -> None:
    recorded.extend_suite(AGAINST)
    recorded.cassette("t1.repeat-2").write_text(recorded.cassette("t1").read_text())
    (row,), _ = rows(recorded)
    assert row[3:5] == ["0.1400", "guessed"]
