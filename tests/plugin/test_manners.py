"""The plugin in a repository of a user's own: what it adds, and what it leaves alone."""

import json

import pytest

from tests.support.installed import Installed
from tests.support.repository import GATE, ROWS, SUITE, Repository

HEAVY = ("numpy", "openai", "yaml", "vcr", "datasets", "rouge_score", "nltk", "httpx2", "pandas", "pyarrow")
# ---------------------------------------------------------------- without a suite


def test_without_a_suite_there_are_the_ini_keys_and_nothing_else(repository: Repository) -> None:
    repository.write("test_own.py", "def test_own(): pass\n")
    text = repository.pytest("--help").output
    assert "eval_suite" in text
    assert "--record" not in text and "--suite" not in text
    assert "baseline:" not in repository.pytest("--markers").output
    assert "evaltape.plugin" not in repository.pytest("--fixtures").output
    assert repository.pytest("--record").exit_code == 4


def test_without_a_suite_options_and_fixtures_of_the_users_own_are_theirs(repository: Repository) -> None:
    repository.write(
        "conftest.py",
        "import pytest\n"
        "def pytest_addoption(parser):\n"
        "    parser.addoption('--record', action='store_true')\n"
        "    parser.addoption('--report')\n"
        "@pytest.fixture\ndef prediction(): return 1\n"
        "@pytest.fixture\ndef scores(): return 2\n"
        "@pytest.fixture\ndef metric(): return 3\n",
    )
    repository.write(
        "test_own.py", "def test_own(prediction, scores, metric): assert (prediction, scores, metric) == (1, 2, 3)\n"
    )
    repository.pytest("--record", "--report", "x").assert_outcomes(passed=1)


def test_without_a_suite_nothing_heavy_is_imported(repository: Repository, installed: Installed) -> None:
    repository.write("test_own.py", "def test_own(): pass\n")
    code = f"import sys, pytest; pytest.main(['-q', '-p', 'no:syrupy']); print('imported:', sorted(set({HEAVY}) & set(sys.modules)))"
    run = installed.run(repository.root, "python", "-c", code)
    assert "imported: []" in run.output, run.output
    assert "evaltape.plugin" not in run.output


def test_importing_the_package_imports_nothing_heavy(repository: Repository, installed: Installed) -> None:
    code = (
        "import sys, evaltape; evaltape.metric; evaltape.Sample; evaltape.Prediction; "
        f"print('imported:', sorted(set({HEAVY}) & set(sys.modules)))"
    )
    assert "imported: []" in installed.run(repository.root, "python", "-c", code).output


# ---------------------------------------------------------------- with a suite


@pytest.mark.parametrize("mode", ["-pno:xdist", "-n0", "-n2"])
def test_a_gate_anywhere_in_the_repository_is_run_and_shown(repository: Repository, mode: str) -> None:
    repository.configure()
    repository.write("deep/inside/test_mine.py", GATE)
    run = repository.pytest(mode)
    run.assert_outcomes(passed=1)
    assert "old: 4 samples" in run.output


@pytest.mark.parametrize("mode", ["-pno:xdist", "-n2"])
def test_fixtures_and_marks_of_the_users_own_with_our_names_go_on_as_before(repository: Repository, mode: str) -> None:
    repository.configure()
    repository.write(
        "unit/conftest.py",
        "import pytest\n"
        "@pytest.fixture\ndef prediction(): return 1\n"
        "@pytest.fixture\ndef scores(): return 2\n"
        "@pytest.fixture\ndef comparison(): return 3\n"
        "@pytest.fixture(params=['a', 'b'])\ndef metric(request): return request.param\n",
    )
    repository.write(
        "unit/test_own.py",
        "import pytest\n"
        "def test_own(prediction, scores, comparison): assert (prediction, scores, comparison) == (1, 2, 3)\n"
        "def test_metric(metric): assert metric in 'ab'\n"
        "@pytest.mark.gate\ndef test_marked(): pass\n"
        "@pytest.mark.parametrize('scores', [5, 6])\ndef test_parametrized(scores): assert scores in (5, 6)\n",
    )
    repository.write("evals/test_mine.py", GATE)
    repository.pytest(mode).assert_outcomes(passed=7)


def test_a_fixture_that_wraps_ours_gets_what_ours_gives(repository: Repository) -> None:
    repository.configure()
    repository.write(
        "test_mine.py",
        "import pytest\n"
        "@pytest.fixture\ndef prediction(prediction): return prediction.text.upper()\n"
        "def test_loud(prediction): assert prediction.startswith('ANN HAS')\n",
    )
    repository.pytest().assert_outcomes(passed=4)


def test_a_prediction_has_what_the_documentation_names(repository: Repository) -> None:
    repository.configure(suite=SUITE.replace("[metrics]", 'keep = ["topic"]\n[metrics]').replace("[dataset]\n", "[dataset]\n"))
    rows = [{**row, "topic": "fruit"} for row in ROWS]
    repository.write(
        "checks/mine.toml", SUITE.replace('reference = "summary" }\n', 'reference = "summary" }\nkeep = ["topic"]\n')
    )
    repository.write("checks/rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    repository.write(
        "test_mine.py",
        "import evaltape\n"
        "def test_short(prediction: evaltape.Prediction):\n"
        "    assert prediction.answered and prediction.failure is None\n"
        "    assert prediction.text == prediction.sample.references[0]\n"
        "    assert prediction.sample.input.startswith('Ann:') and prediction.sample.id[0] == 'r'\n"
        "    assert prediction.sample.columns == {'topic': 'fruit'}\n"
        "    assert prediction.scores == {'rouge1': 1.0} and prediction.model.key == 'old'\n"
        "    assert prediction.latency_s is None\n",
    )
    repository.pytest().assert_outcomes(passed=4)


@pytest.mark.parametrize("mode", ["-pno:xdist", "-n2"])
def test_it_works_where_warnings_are_errors_and_marks_are_strict(repository: Repository, mode: str) -> None:
    repository.configure("filterwarnings = error\naddopts = --strict-markers --strict-config\n")
    repository.write(
        "test_mine.py",
        GATE + "\ndef test_scores(scores, accepted):\n    assert scores.accepted == accepted\n"
        "def test_sample(prediction):\n    assert prediction.answered\n",
    )
    repository.pytest(mode, "--snapshot-update").assert_outcomes(passed=6)
    assert (repository.root / "__snapshots__/mine/old.scores").exists()
    repository.pytest(mode).assert_outcomes(passed=6)


def test_without_syrupy_only_the_accepted_scores_fail_and_say_why(repository: Repository) -> None:
    repository.configure()
    repository.write("test_mine.py", GATE + "\ndef test_scores(scores, accepted):\n    assert scores.accepted == accepted\n")
    run = repository.pytest("-p", "no:syrupy")
    assert run.outcomes["passed"] == 1, run.output
    assert "accepted scores are kept by syrupy, which isn't loaded (-p no:syrupy?)" in run.output


@pytest.mark.parametrize("mode", ["-pno:xdist", "-n2"])
def test_snapshots_of_the_users_own_are_reported_on_as_if_we_were_not_there(repository: Repository, mode: str) -> None:
    own = (
        "from syrupy.extensions.json import JSONSnapshotExtension\n"
        "def test_own(snapshot): assert {'a': 1} == snapshot\n"
        "def test_json(snapshot): assert {'a': 1} == snapshot(extension_class=JSONSnapshotExtension)\n"
    )
    gone = "def test_gone(snapshot): assert 'x' == snapshot\n"
    mine = "def test_scores(scores, accepted):\n    assert scores.accepted == accepted\n"
    repository.configure()
    repository.write("test_mine.py", mine + own + gone)
    repository.pytest(mode, "--snapshot-update").assert_outcomes(passed=4)
    repository.write("__snapshots__/other/model.scores", "{}\n")
    repository.write("test_mine.py", mine + own)
    run = repository.pytest(mode)
    assert "3 snapshots passed. 1 snapshot unused." in run.output
    assert run.exit_code == 1
    run = repository.pytest(mode, "--snapshot-update")
    assert "1 unused snapshot deleted" in run.output
    assert (repository.root / "__snapshots__/other/model.scores").exists()
    assert (repository.root / "__snapshots__/mine/old.scores").exists()
    repository.pytest(mode).assert_outcomes(passed=3)


def test_folders_of_recordings_and_accepted_scores_can_be_set(repository: Repository) -> None:
    repository.configure("eval_snapshots = accepted\neval_cassettes = tapes\n")
    repository.write("deep/test_mine.py", "def test_scores(scores, accepted):\n    assert scores.accepted == accepted\n")
    repository.pytest("--snapshot-update").assert_outcomes(passed=1)
    assert (repository.root / "accepted/mine/old.scores").exists()
    repository.pytest("--record").assert_outcomes(passed=1)
    assert (repository.root / "tapes/mine/samples.jsonl").exists()


def test_a_suite_named_on_the_command_line_is_enough(repository: Repository) -> None:
    repository.configure()
    repository.write("pytest.ini", "[pytest]\n")
    repository.write("test_mine.py", GATE)
    for words in (["--suite", "checks/mine.toml"], ["--suite=checks/*.toml"], ["--suite", "checks/mine.toml", "-n2"]):
        repository.pytest(*words).assert_outcomes(passed=1)
    assert repository.pytest("-p", "no:evaltape", "--suite=checks/mine.toml").exit_code == 4


def test_skipped_and_parametrized_tests_of_ours_behave_like_any(repository: Repository) -> None:
    repository.configure()
    repository.write(
        "test_mine.py",
        "import pytest\n"
        "@pytest.mark.skip\ndef test_skipped(prediction): pass\n"
        "@pytest.mark.parametrize('word', ['pears', 'Ann'])\ndef test_has(prediction, word): assert word in prediction.text\n"
        "@pytest.mark.suite('mine')\ndef test_this_suite(prediction): pass\n"
        "@pytest.mark.finetuned\ndef test_tuned_only(prediction): raise AssertionError\n",
    )
    repository.pytest().assert_outcomes(passed=12, skipped=4)


@pytest.mark.parametrize("mode", ["-pno:xdist", "-n2"])
def test_what_has_nothing_to_run_on_is_not_counted_as_collected(repository: Repository, mode: str) -> None:
    repository.configure()
    repository.write("test_mine.py", GATE + "def test_slices(slices, metric): pass\ndef test_pair(comparison, metric): pass\n")
    assert "collected 1 item\n" in repository.pytest(mode).output
    run = repository.pytest(mode, "test_mine.py::test_gate", "test_mine.py::test_slices")
    run.assert_outcomes(passed=1)


def test_a_mark_that_names_no_suite_is_refused_and_one_for_a_suite_that_is_not_in_the_run_is_not(
    repository: Repository,
) -> None:
    repository.configure()
    repository.write("checks/other.toml", SUITE)
    repository.write("test_mine.py", "import pytest\n@pytest.mark.suite('mien')\ndef test_short(prediction): pass\n")
    run = repository.pytest()
    run.assert_refused("test_mine.py::test_short: mark.suite: no suite 'mien'. Did you mean 'mine'? Suites: mine")
    assert repository.pytest("--suite", "checks/other.toml").exit_code == 5
    repository.write("test_mine.py", "import pytest\n@pytest.mark.suite\ndef test_short(prediction): pass\n")
    repository.pytest().assert_refused("mark.suite: it takes the names of suites. Suites: mine")


def test_scores_have_slices_and_refuse_a_metric_that_the_suite_does_not_have(repository: Repository) -> None:
    repository.configure()
    rows = [{**row, "kind": "even" if n % 2 == 0 else "odd"} for n, row in enumerate(ROWS)]
    repository.write("checks/rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    repository.write("checks/mine.toml", SUITE.replace("\n[metrics]", 'slices = ["kind"]\n[metrics]', 1))
    repository.write(
        "test_mine.py",
        "import pytest\n"
        "def test_slices_of_scores(scores):\n"
        "    assert {value: len(each.column('rouge1')) for value, each in scores.slices['kind'].items()} == {'even': 2, 'odd': 2}\n"
        "    assert scores.slices['kind']['odd'].mean('rouge1') == 1.0\n"
        "    for ask in (scores.mean, scores.interval, scores.column):\n"
        "        with pytest.raises(KeyError, match=\"no metric 'rogue1'. Did you mean 'rouge1'. Metrics: rouge1\"):\n"
        "            ask('rogue1')\n",
    )
    repository.pytest().assert_outcomes(passed=1)
