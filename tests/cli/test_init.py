"""`evaltape init`: what it writes, what it leaves alone, and what it says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import evaltape, files_of
from tests.support.forked import REPOSITORY

TESTS = ("test_baseline.py", "test_finetuned.py", "test_comparisons.py", "test_mutants.py")


def test_an_empty_folder_gets_tests_an_example_configuration_and_a_workflow(tmp_path: Path) -> None:
    run = evaltape(tmp_path, "init")
    assert run.exit_code == 0
    assert list(files_of(tmp_path)) == [
        ".gitattributes",
        ".github/workflows/evals.yml",
        ".gitignore",
        "evals/__snapshots__/example/careful.scores",
        "evals/__snapshots__/example/hasty.scores",
        "evals/data/example/careful.jsonl",
        "evals/data/example/dialogues.jsonl",
        "evals/data/example/hasty.jsonl",
        "evals/example_metrics.py",
        "evals/suites/example.toml",
        "evals/test_baseline.py",
        "evals/test_comparisons.py",
        "evals/test_finetuned.py",
        "evals/test_mutants.py",
        "pytest.ini",
    ]
    assert (tmp_path / ".gitignore").read_text() == "*.part\n.recording.lock\n/report.html\n/comment.md\n/evals.xml\n"
    assert (tmp_path / ".gitattributes").read_text() == "cassettes/** linguist-generated text eol=lf\n"
    for name in files_of(tmp_path):
        assert f"wrote    {name} " in run.output
    assert run.output.splitlines()[-4:] == [
        "Next:",
        "  pytest evals                            replays the recorded answers: no key, no network, nothing to pay",
        "  pytest evals --report report.html       the same as a page, every answer beside its reference",
        "  evaltape init --data FILE --model NAME  a suite for rows and a model of your own",
    ]


def test_the_tests_it_writes_are_those_of_this_repository(tmp_path: Path) -> None:
    evaltape(tmp_path, "init")
    assert not (tmp_path / "evals/test_judges.py").exists()
    (tmp_path / "evals/suites/judged.toml").write_text("[judges.faithful]\n")
    evaltape(tmp_path, "init")  # A suite with judges gets the test of their exams.
    names = (*TESTS, "test_judges.py")
    assert sorted(path.name for path in (REPOSITORY / "evals").glob("test_*.py")) == sorted(names)
    for name in names:
        assert (tmp_path / "evals" / name).read_text() == (REPOSITORY / "evals" / name).read_text()


def test_the_python_it_writes_is_formatted_and_free_of_lint(tmp_path: Path) -> None:
    evaltape(tmp_path, "init")
    for words in (["check", "--select", "E,F,W,I,B,UP,PT"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *words, "--isolated", "evals"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_tests_of_the_same_names_are_said_and_not_touched(tmp_path: Path) -> None:
    (tmp_path / "evals").mkdir()
    (tmp_path / "evals/test_baseline.py").write_text("def test_own():\n    pass\n")
    run = evaltape(tmp_path, "init")
    assert (tmp_path / "evals/test_baseline.py").read_text() == "def test_own():\n    pass\n"
    assert re.search(r"^kept     evals/test_baseline.py +yours, with other content: not touched$", run.output, re.M)
    assert "wrote    evals/test_finetuned.py " in run.output


def test_lines_are_appended_to_what_git_has(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text(".venv\n*.part")
    (tmp_path / ".gitattributes").write_bytes(b"*.png binary\r\n")
    run = evaltape(tmp_path, "init")
    assert (tmp_path / ".gitignore").read_text() == ".venv\n*.part\n.recording.lock\n/report.html\n/comment.md\n/evals.xml\n"
    assert (tmp_path / ".gitattributes").read_bytes() == (b"*.png binary\r\ncassettes/** linguist-generated text eol=lf\r\n")
    assert re.search(r"^changed  .gitignore +.recording.lock, /report.html, /comment.md, /evals.xml$", run.output, re.M)


def test_a_file_that_was_deleted_is_written_again_and_no_other(tmp_path: Path) -> None:
    evaltape(tmp_path, "init")
    (tmp_path / "evals/test_mutants.py").unlink()
    (tmp_path / "evals/suites/example.toml").write_text("# mine")
    run = evaltape(tmp_path, "init")
    assert [line.split()[:2] for line in run.output.splitlines() if line.startswith(("wrote", "changed", "kept"))] == [
        ["wrote", "evals/test_mutants.py"],
        ["kept", "evals/suites/example.toml"],
    ]
    assert "\n13 files were there already\n" in run.output


def test_beside_suites_of_the_users_no_example_is_written(tmp_path: Path) -> None:
    suites = tmp_path / "evals/suites"
    suites.mkdir(parents=True)
    (suites / "own.toml").write_text("")
    run = evaltape(tmp_path, "init")
    assert run.exit_code == 0
    assert [path.name for path in suites.iterdir()] == ["own.toml"]
    assert not (tmp_path / "evals/data").exists()


def test_places_of_recordings_and_snapshots_that_the_user_chose_are_kept_to(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\neval_cassettes = tapes\neval_snapshots = accepted\n")
    evaltape(tmp_path, "init")
    assert (tmp_path / ".gitattributes").read_text() == "tapes/** linguist-generated text eol=lf\n"
    assert (tmp_path / "accepted/example/careful.scores").is_file()
    workflow = (tmp_path / ".github/workflows/evals.yml").read_text()
    assert "            tapes\n            accepted\n" in workflow


def test_other_testpaths_are_said(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = tests integration\n")
    run = evaltape(tmp_path, "init")
    assert "note: testpaths = tests integration: a bare `pytest` doesn't run evals; `pytest evals` does\n" in run.output


@pytest.mark.parametrize("paths", ["evals tests", ".", "evals/"])
def test_testpaths_that_cover_evals_are_not(tmp_path: Path, paths: str) -> None:
    (tmp_path / "pytest.ini").write_text(f"[pytest]\ntestpaths = {paths}\n")
    assert "note:" not in evaltape(tmp_path, "init").output


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("python_files = check_*.py", "python_files = check_*.py: pytest won't collect test_baseline.py; add its pattern"),
        ("python_functions = check", "python_functions = check: pytest won't collect test_gate; add its pattern"),
        ("python_files = test_*.py check_*.py\npython_functions = test", None),
    ],
)
def test_patterns_that_would_not_collect_the_tests_are_said(tmp_path: Path, option: str, message: str | None) -> None:
    (tmp_path / "pytest.ini").write_text(f"[pytest]\n{option}\n")
    output = evaltape(tmp_path, "init").output
    assert (f"note: {message}\n" in output) if message else ("note:" not in output)


def test_a_test_file_of_the_same_name_elsewhere_is_said_where_the_two_would_collide(tmp_path: Path) -> None:
    for folder in ("tests", "packaged", ".venv/lib"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "test_comparisons.py").write_text("")
    (tmp_path / "packaged/__init__.py").write_text("")
    output = evaltape(tmp_path, "init").output
    assert "note: tests/test_comparisons.py has the name of a file in evals: to collect both in one run, pytest needs" in output
    assert output.count("note:") == 1
    (tmp_path / "evals/__init__.py").write_text("")
    assert "note:" not in evaltape(tmp_path, "init").output


def test_a_model_without_rows_is_added_to_a_new_example_and_ends_with_the_commands_that_record_it(tmp_path: Path) -> None:
    words = ("init", "--model", "meta-llama/Llama-3.2-1B", "--base-url", "http://127.0.0.1:8000/v1")
    run = evaltape(tmp_path, *words)
    suite = (tmp_path / "evals/suites/example.toml").read_text()
    assert '[models."Llama-3.2-1B"]\nmodel = "meta-llama/Llama-3.2-1B"\nbase_url = "http://127.0.0.1:8000/v1"\n' in suite
    assert [line.strip().split("  ")[0] for line in run.output.splitlines()[-3:]] == [
        "pytest evals --estimate",
        "pytest evals --record --snapshot-update",
        "pytest evals",
    ]
    first = files_of(tmp_path)
    assert evaltape(tmp_path, *words).exit_code == 0
    assert files_of(tmp_path) == first


def test_a_model_for_a_suite_that_is_there_is_printed_to_be_added_by_hand(tmp_path: Path) -> None:
    evaltape(tmp_path, "init")
    run = evaltape(tmp_path, "init", "--model", "gpt-6-luna")
    assert run.exit_code == 4
    assert "evals/suites/example.toml is yours, so nothing is added to it" in run.errors
    assert '[models.gpt-6-luna]\nmodel = "gpt-6-luna"\n' in run.errors


def test_the_metric_lies_in_rootdir_where_it_could_not_be_imported_from_evals(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    below = tmp_path / "my-service"
    below.mkdir()
    run = evaltape(below, "init")
    assert (tmp_path / "example_metrics.py").is_file()
    assert '"example_metrics:names_kept"' in (below / "evals/suites/example.toml").read_text()
    assert "wrote    ../example_metrics.py " in run.output


def test_the_metric_lies_in_rootdir_where_another_package_named_evals_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "site/evals"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    for name, expected in (("plain", "example_metrics:names_kept"), ("package", "evals.example_metrics:names_kept")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "pytest.ini").write_text("")
        if name == "package":
            (folder / "evals").mkdir()
            (folder / "evals/__init__.py").write_text("")
        evaltape(folder, "init")
        assert f'function = "{expected}"' in (folder / "evals/suites/example.toml").read_text()


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder that even root can't write to")
def test_a_file_that_can_not_be_written_is_one_message(tmp_path: Path) -> None:
    (tmp_path / ".github").symlink_to("/proc/self")
    run = evaltape(tmp_path, "init")
    assert run.exit_code == 4
    assert re.fullmatch(r"evaltape init: .github/workflows/evals.yml: can't be written: .+\n", run.errors)


def test_a_file_in_the_place_of_the_folder_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "evals").write_text("")
    run = evaltape(tmp_path, "init")
    assert run.exit_code == 4
    assert "evals/test_baseline.py: not a readable text file: " in run.errors
    assert list(files_of(tmp_path)) == ["evals"]
