"""`pytest --against REF`: three commits, one that improves the prompt, one that makes it worse, one that adds a row."""

import json
import shutil
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.against.conftest import AGAINST, found_in, rewrite_answer
from tests.support.git import commit, git
from tests.support.project import Project, Run, run_forked
from tests.support.server import ApiServer


def on(repository: Project, branch: str) -> Project:
    git(repository.root, "switch", "--quiet", branch)
    return repository


def table(run: Run) -> list[str]:
    """The lines of the table, from its first model on."""
    lines = run.output.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("small against "))
    return [line.rstrip() for line in lines[start:]]


@dataclass(frozen=True)
class Worse:
    """A run on the branch whose prompt is worse, against main."""

    root: Path
    run: Run
    against: Any
    cases: dict[str | None, ElementTree.Element]


@pytest.fixture(scope="module")
def worse(history_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Worse:
    """That run with all it wrote. Not to be written to."""
    root = tmp_path_factory.mktemp("worse") / "project"
    shutil.copytree(history_root, root)
    git(root, "switch", "--quiet", "worse")
    run = run_forked(
        root, "evals", "--against", "main", "--results", "../results.json", "--junit-xml", "../junit.xml", "-p", "no:xdist"
    )
    against = json.loads((root.parent / "results.json").read_text())["suites"]["chats"]["against"]
    cases = {case.get("name"): case for case in ElementTree.parse(root.parent / "junit.xml").iter("testcase")}
    return Worse(root, run, against, cases)


# ---------------------------------------------------------------- the three commits


def test_an_improved_prompt_passes(repository: Project) -> None:
    against = on(repository, "main").results("--against", "HEAD~1", "-p", "no:xdist")["against"]
    assert (against["ref"], against["commit"]) == ("HEAD~1", git(repository.root, "rev-parse", "base"))
    found = against["models"]["small"]["rouge1"]
    # By hand, before and after: 13 summaries of 6 words, 14 of 8 and 13 of 10, of which the answers have 4 and 6.
    gains = 13 * (1 - 8 / 11) + 14 * (12 / 14 - 8 / 13) + 13 * (12 / 16 - 8 / 15)
    assert found["difference"] == pytest.approx(gains / 40)
    assert (found["verdict"], found["passed"], found["samples"]) == ("passed", True, 40)
    assert found["low"] < found["difference"] < found["high"]


def test_a_worse_prompt_fails_with_any_number_of_workers(repository: Project, worse: Worse) -> None:
    two = on(repository, "worse").run("evals", "--against", "base", "--results", "results.json", "-n 2")
    for run, found in ((worse.run, worse.against["models"]["small"]), (two, found_in(repository))):
        run.assert_outcomes(passed=42, failed=2)
        assert {metric: one["verdict"] for metric, one in found.items()} == {
            "rouge1": "failed",
            "rouge2": "not checked",
            "rougeL": "failed",
        }
        assert "recorded with another prompt (line 1 differs)" in run.output


def test_a_branch_behind_main_is_compared_with_the_commit_that_it_began_at(repository: Project, worse: Worse) -> None:
    main, base = worse.against, on(repository, "worse").results("-m", "gate", "--against", "base", "-p", "no:xdist")["against"]
    assert main["commit"] == base["commit"] == git(repository.root, "rev-parse", "base")
    assert main["models"] == base["models"]
    tip = repository.results("--against", "main^{commit}", "-p", "no:xdist")["against"]["models"]
    assert tip["small"]["rouge1"]["difference"] < main["models"]["small"]["rouge1"]["difference"] - 0.1


def test_an_added_row_leaves_the_others_as_they_were(repository: Project) -> None:
    run = on(repository, "row").run("evals", "--against", "main", "--results", "results.json", "-p", "no:xdist")
    assert run.exit_code == 0, run.output
    found = found_in(repository)["rouge1"]
    assert {key: found[key] for key in ("difference", "low", "high", "samples", "added", "dropped", "changed")} == {
        "difference": 0.0, "low": 0.0, "high": 0.0, "samples": 40, "added": 1, "dropped": 0, "changed": 0,
    }  # fmt: skip
    assert found["passed"] is True
    assert "small: nothing changed in the 40 samples in common; 1 sample added (new)" in run.output


def test_a_few_unchanged_answers_pass_though_so_few_equal_differences_decide_nothing(repository: Project) -> None:
    git(repository.root, "switch", "--quiet", "--create", "again", "base")
    found = repository.results("--against", "base", "-p", "no:xdist")["against"]["models"]["small"]["rouge1"]
    assert (found["samples"], found["verdict"], found["passed"]) == (40, "passed", True)


# ---------------------------------------------------------------- what the terminal shows


def test_the_table_shows_change_interval_bound_and_verdict(worse: Worse) -> None:
    run = worse.run
    base = git(worse.root, "rev-parse", "base")[:10]
    day = git(worse.root, "show", "--no-patch", "--format=%cs", "base")
    model, rouge1, rouge2, *_ = table(run)
    assert model == "small against main: 40 samples, 90% interval"
    assert f"Compared with main (merge base {base} of {day})." in run.output
    assert rouge1.split()[0] == "rouge1"
    assert rouge1.endswith("max_drop 0.02  failed")
    assert rouge1.split()[1].startswith("-0.")
    assert rouge2.split()[0] == "rouge2"
    assert "max_drop" not in rouge2


def test_a_failed_bound_says_what_happened_in_a_line(repository: Project) -> None:
    run = on(repository, "worse").run("evals", "--against", "main", "-k", "test_against and rougeL", "-p", "no:xdist")
    message = next(line for line in run.output.splitlines() if line.startswith("-0."))
    assert message.startswith("-0.3174 failed: small rougeL against main (merge base ")
    assert message.endswith(" 40 samples), max_drop 0.02; main was recorded with another prompt (line 1 differs)")
    assert "FAILED evals/test_comparisons.py::test_against[chats-small-rougeL] - -0.3174" in run.output


def test_an_inconclusive_verdict_says_how_many_samples_would_settle_it(repository: Project) -> None:
    for sample in ("t01", "t04"):
        rewrite_answer(repository, sample, "nothing at all")
    run = repository.run("evals", "--against", "HEAD", "-p", "no:xdist", "-k", "test_against and rouge1")
    assert " inconclusive: small rouge1 against HEAD (" in run.output
    assert "max_drop 0.02: the interval straddles the bound; about " in run.output
    assert "samples would settle it (40 decide a change that is 0." in run.output


# ---------------------------------------------------------------- what isn't checked


def test_without_the_option_it_is_skipped_and_a_run_of_nothing_else_exits_0(repository: Project) -> None:
    run = repository.run("evals", "-k", "test_against", "-rs", "-p", "no:xdist")
    run.assert_outcomes(skipped=2, deselected=42)
    assert run.exit_code == 0
    assert "not checked: no --against REF to compare with" in run.output


def test_a_part_of_the_samples_decides_nothing(repository: Project) -> None:
    run = on(repository, "worse").run(
        "evals", "--against", "main", "--samples", "5", "--results", "results.json", "-rs", "-p", "no:xdist"
    )
    assert run.exit_code == 0, run.output
    assert "not checked: --samples 5 looks at a part of the samples" in run.output
    assert "small isn't compared: 5 of 40 samples were looked at." in run.output
    found = found_in(repository)["rouge1"]
    assert (found["difference"], found["verdict"], found["passed"]) == (None, "not checked", None)


def test_what_no_test_asserts_is_shown_and_not_called_passed(repository: Project) -> None:
    found = repository.results("--against", "HEAD~1", "-m", "sample", "-p", "no:xdist")["against"]["models"]["small"]["rouge1"]
    assert found["difference"] > 0.1
    assert (found["verdict"], found["passed"]) == ("not checked", None)


def test_without_bounds_it_only_shows(repository: Project) -> None:
    repository.edit_suite(AGAINST, "")
    run = repository.run("evals", "--against", "HEAD~1", "-p", "no:xdist")
    run.assert_outcomes(passed=42)
    assert [line.split()[0] for line in table(run)[1:4]] == ["rouge1", "rouge2", "rougeL"]
    assert "max_drop" not in run.output


def test_marks_and_names_choose_it_as_any_other_gate(repository: Project) -> None:
    run = repository.run("evals", "--against", "HEAD~1", "-m", "gate and baseline", "-k", "against and rougeL", "-n", "2")
    run.assert_outcomes(passed=1, deselected=43)


# ---------------------------------------------------------------- errors


def test_an_unknown_ref_ends_the_run_before_anything_is_paid(repository: Project, api: ApiServer) -> None:
    run = repository.run("evals", "--record", "--against", "mian", "-n", "2")
    run.assert_refused("--against mian: no such git ref or folder. Did you mean 'main'?")
    assert api.calls == 0


def test_a_listing_of_models_that_end_takes_no_ref(repository: Project) -> None:
    repository.run("evals", "--retiring", "--against", "main").assert_refused("--against compares recordings, --retiring lists")


def test_nothing_is_checked_out_and_no_server_is_asked(repository: Project) -> None:
    before = repository.files()
    on(repository, "worse").run("evals", "--against", "main", "-p", "no:xdist", "-p", "no:cacheprovider")
    assert git(repository.root, "status", "--porcelain") == ""
    on(repository, "main")
    after = {name: content for name, content in repository.files().items() if not name.startswith(".git/")}
    assert after == {name: content for name, content in before.items() if not name.startswith(".git/")}


def test_junit_xml_carries_change_interval_and_bound(worse: Worse) -> None:
    properties = {
        one.get("name"): float(str(one.get("value")))
        for one in worse.cases["test_against[chats-small-rouge1]"].iter("property")
    }
    assert properties["low"] < properties["rouge1"] < properties["high"] < -0.02
    assert (properties["max_drop"], properties["samples"]) == (0.02, 40)


def test_an_estimate_knows_the_spread_between_two_recordings(repository: Project) -> None:
    run = repository.run("evals", "--estimate", "--against", "HEAD~1")
    line = next(line.split() for line in run.output.splitlines() if line.startswith("  small rouge1 (against)"))
    gains = [1 - 8 / 11] * 13 + [12 / 14 - 8 / 13] * 14 + [12 / 16 - 8 / 15] * 13
    assert line[3:5] == [f"{statistics.stdev(gains):.4f}", "recorded"]


# ---------------------------------------------------------------- in a user's own tests


def test_a_test_of_ones_own_sees_pairs_and_differences(repository: Project) -> None:
    (repository.root / "evals/test_own.py").write_text(
        "def test_no_worse(against):\n"
        "    assert against.differences['rouge2'].mean > 0\n"
        "    assert [pair.sample for pair in against.pairs][:2] == ['t01', 't02']\n"
        "    assert against.pairs[0].before.text == 'Ben: the red car won'\n"
        "    assert against.pairs[0].after.text == 'the red car won the race'\n"
    )
    run = repository.run("evals", "--against", "HEAD~1", "-k", "no_worse", "-p", "no:xdist")
    run.assert_outcomes(passed=1, deselected=44)


def test_an_uncommitted_change_is_compared_with_head(repository: Project) -> None:
    rewrite_answer(repository, "t01", "nothing at all")
    found = repository.results("--against", "HEAD", "-p", "no:xdist")["against"]["models"]["small"]["rouge1"]
    assert found["difference"] == pytest.approx(-12 / 14 / 40)
    commit(repository.root, "a changed answer")
    assert repository.results("--against", "HEAD", "-p", "no:xdist")["against"]["models"]["small"]["rouge1"]["difference"] == 0
