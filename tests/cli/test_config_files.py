"""One key, in the file that pytest reports as its configfile, in that file's own syntax; pytest itself reads it back."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import evaltape, files_of

PROBE = """
import json
import pytest

def pytest_configure(config):
    file = config.inipath.name if config.inipath else None
    found = {"configfile": file, "eval_suite": config.getini("eval_suite"), "addopts": config.getini("addopts")}
    pytest.exit(json.dumps(found), returncode=0)
"""
PATTERN = "evals/suites/*.toml"
# For each kind of file: what a user has, and what it becomes.
KINDS = {
    "pytest.ini": (
        "pytest.ini",
        "# ours\n[pytest]\naddopts = -q\n    -ra\n# the next is for later\n;testpaths = x\n\n[other]\nkey = 1\n",
        "# ours\n[pytest]\naddopts = -q\n    -ra\neval_suite = evals/suites/*.toml\n"
        "# the next is for later\n;testpaths = x\n\n[other]\nkey = 1\n",
    ),
    "pytest.ini without a section": (
        "pytest.ini",
        "# nothing yet",
        "# nothing yet\n\n[pytest]\neval_suite = evals/suites/*.toml\n",
    ),
    ".pytest.ini": (".pytest.ini", "[pytest]\n", "[pytest]\neval_suite = evals/suites/*.toml\n"),
    "pytest.toml": (
        "pytest.toml",
        '[pytest]\naddopts = ["-q"]    # quiet\n',
        '[pytest]\naddopts = ["-q"]    # quiet\neval_suite = ["evals/suites/*.toml"]\n',
    ),
    "pytest.toml, empty": ("pytest.toml", "", '[pytest]\neval_suite = ["evals/suites/*.toml"]\n'),
    ".pytest.toml": (
        ".pytest.toml",
        '[pytest]\naddopts = ["-q"]',
        '[pytest]\naddopts = ["-q"]\neval_suite = ["evals/suites/*.toml"]\n',
    ),
    "pyproject.toml, ini_options": (
        "pyproject.toml",
        '[project]\nname = "acme"   # a name\n\n[tool.pytest.ini_options]  # tests\naddopts = "-q"\nfilterwarnings = [\n    "error",  # all\n]\n'
        "\n# lint\n[tool.ruff]\nline-length = 100\n",
        '[project]\nname = "acme"   # a name\n\n[tool.pytest.ini_options]  # tests\naddopts = "-q"\nfilterwarnings = [\n    "error",  # all\n]\n'
        'eval_suite = "evals/suites/*.toml"\n\n# lint\n[tool.ruff]\nline-length = 100\n',
    ),
    "pyproject.toml, native": (
        "pyproject.toml",
        '[tool.pytest]\naddopts = ["-q"]\n[tool.ruff]\nline-length = 100\n',
        '[tool.pytest]\naddopts = ["-q"]\neval_suite = ["evals/suites/*.toml"]\n[tool.ruff]\nline-length = 100\n',
    ),
    "pyproject.toml without pytest": (
        "pyproject.toml",
        '[project]\nname = "acme"\n',
        '[project]\nname = "acme"\n\n[tool.pytest]\neval_suite = ["evals/suites/*.toml"]\n',
    ),
    "pyproject.toml, dotted keys": (
        "pyproject.toml",
        'tool.pytest.ini_options.addopts = "-q"\ntool.ruff.line-length = 100\n',
        'tool.pytest.ini_options.addopts = "-q"\ntool.pytest.ini_options.eval_suite = "evals/suites/*.toml"\ntool.ruff.line-length = 100\n',
    ),
    "pyproject.toml, inline": (
        "pyproject.toml",
        '[tool]\npytest = { ini_options = { addopts = "-q" } }  # short\n',
        '[tool]\npytest = { ini_options = { addopts = "-q", eval_suite = "evals/suites/*.toml"} }  # short\n',
    ),
    "tox.ini": (
        "tox.ini",
        "[tox]\nenvlist = py312\n\n[pytest]\naddopts=-q\n[testenv]\ncommands = pytest\n",
        "[tox]\nenvlist = py312\n\n[pytest]\naddopts=-q\neval_suite = evals/suites/*.toml\n[testenv]\ncommands = pytest\n",
    ),
    "setup.cfg": (
        "setup.cfg",
        "[metadata]\nname = acme\n\n[tool:pytest]\naddopts =\n    -q\n\n[flake8]\nmax-line-length = 100\n",
        "[metadata]\nname = acme\n\n[tool:pytest]\naddopts =\n    -q\neval_suite = evals/suites/*.toml\n\n[flake8]\nmax-line-length = 100\n",
    ),
}


def as_pytest_reads(folder: Path) -> Any:
    """What a run of pytest there has for a configuration; Evaltape's plugin itself is blocked, its ini keys are not."""
    (folder / "probe.py").write_text(PROBE)
    plugins = ["no:evaltape", "evaltape.entry", "probe", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *(word for plugin in plugins for word in ("-p", plugin)), "evals"]
    own = {
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_ADDOPTS": "",
    }
    environment = {**os.environ, **own}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    (folder / "probe.py").unlink()
    line = next((line for line in (done.stdout + done.stderr).splitlines() if '"configfile"' in line), None)
    assert line, done.stdout + done.stderr
    return json.loads(line[line.index("{") : line.rindex("}") + 1])


@pytest.mark.parametrize(("name", "before", "after"), KINDS.values(), ids=KINDS)
def test_the_key_is_written_in_the_files_own_syntax_and_pytest_reads_it_back(
    tmp_path: Path, name: str, before: str, after: str
) -> None:
    (tmp_path / name).write_text(before)
    run = evaltape(tmp_path, "init")
    assert run.exit_code == 0, run.errors
    assert (tmp_path / name).read_text() == after
    assert f"changed  {name}" in run.output
    read = as_pytest_reads(tmp_path)
    assert (read["configfile"], read["eval_suite"]) == (name, [PATTERN])
    assert ("-q" in read["addopts"]) == ("-q" in before)
    assert name == "pytest.ini" or not (tmp_path / "pytest.ini").exists()


@pytest.mark.parametrize(("name", "before", "after"), KINDS.values(), ids=KINDS)
def test_a_second_run_changes_nothing(tmp_path: Path, name: str, before: str, after: str) -> None:
    (tmp_path / name).write_text(before)
    evaltape(tmp_path, "init")
    first = files_of(tmp_path)
    run = evaltape(tmp_path, "init")
    assert run.exit_code == 0
    assert "Nothing to write: 15 files were there already" in run.output
    assert files_of(tmp_path) == first


def test_pytest_ini_is_created_where_nothing_configures_pytest(tmp_path: Path) -> None:
    (tmp_path / "tox.ini").write_text("[tox]\n")
    (tmp_path / "setup.cfg").write_text("[metadata]\n")
    evaltape(tmp_path, "init")
    assert (tmp_path / "pytest.ini").read_text() == f"[pytest]\neval_suite = {PATTERN}\n"
    assert as_pytest_reads(tmp_path)["configfile"] == "pytest.ini"
    assert (tmp_path / "tox.ini").read_text() == "[tox]\n"


def test_of_several_files_the_one_that_pytest_reads_gets_the_key(tmp_path: Path) -> None:
    (tmp_path / "tox.ini").write_text("[pytest]\n")
    (tmp_path / "pytest.ini").write_text("")
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    evaltape(tmp_path, "init")
    assert as_pytest_reads(tmp_path)["configfile"] == "pytest.ini"
    assert "eval_suite" in (tmp_path / "pytest.ini").read_text()
    assert (tmp_path / "tox.ini").read_text() == "[pytest]\n"


@pytest.mark.parametrize("name", ["pytest.ini", "pyproject.toml"])
def test_line_ends_of_windows_stay(tmp_path: Path, name: str) -> None:
    before = {
        "pytest.ini": b"[pytest]\r\naddopts = -q\r\n",
        "pyproject.toml": b'[tool.pytest]\r\naddopts = ["-q"]\r\n\r\n[x]\r\n',
    }
    (tmp_path / name).write_bytes(before[name])
    evaltape(tmp_path, "init")
    after = (tmp_path / name).read_bytes()
    assert b"eval_suite" in after
    assert after.count(b"\n") == after.count(b"\r\n") == before[name].count(b"\n") + 1


def test_a_file_keeps_its_permissions_and_a_link_stays_a_link(tmp_path: Path) -> None:
    real = tmp_path / "real.ini"
    real.write_text("[pytest]\n")
    real.chmod(0o664)
    (tmp_path / "pytest.ini").symlink_to(real)
    evaltape(tmp_path, "init")
    assert (tmp_path / "pytest.ini").is_symlink()
    assert "eval_suite" in real.read_text()
    assert real.stat().st_mode & 0o777 == 0o664


def test_a_key_that_is_set_already_stays(tmp_path: Path) -> None:
    (tmp_path / "quality").mkdir()
    (tmp_path / "quality/chats.toml").write_text("")
    (tmp_path / "pytest.ini").write_text("[pytest]\neval_suite = quality/*.toml\n")
    run = evaltape(tmp_path, "init")
    assert (tmp_path / "pytest.ini").read_text() == "[pytest]\neval_suite = quality/*.toml\n"
    assert not (tmp_path / "evals/suites").exists()
    assert run.exit_code == 0


def test_a_suite_that_the_key_does_not_name_is_said_and_named_in_the_commands(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\neval_suite = quality/*.toml\n")
    run = evaltape(tmp_path, "init")
    assert "note: eval_suite = quality/*.toml: it doesn't name evals/suites/example.toml" in run.output
    assert "  pytest evals --suite evals/suites/example.toml  " in run.output


def test_in_a_folder_below_rootdir_paths_are_relative_to_rootdir(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / ".git").mkdir()
    below = tmp_path / "services/chat"
    below.mkdir(parents=True)
    run = evaltape(below, "init")
    assert run.exit_code == 0, run.errors
    assert "eval_suite = services/chat/evals/suites/*.toml\n" in (tmp_path / "pytest.ini").read_text()
    assert (tmp_path / ".gitignore").exists()
    assert (below / "evals/test_baseline.py").exists()
    assert "services.chat.evals.example_metrics:names_kept" in (below / "evals/suites/example.toml").read_text()
    workflow = (tmp_path / ".github/workflows/evals.yml").read_text()
    assert "working-directory: services/chat" in workflow
    assert "services/chat/report.html" in workflow
    assert as_pytest_reads(below)["eval_suite"] == ["services/chat/evals/suites/*.toml"]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("pyproject.toml", "[tool.pytest\n", "pyproject.toml"),
        ("pytest.ini", "addopts = -q\n", "pytest.ini"),
        ("setup.cfg", "[pytest]\naddopts = -q\n", "[pytest] section in setup.cfg files is no longer supported"),
        ("pyproject.toml", '[tool.pytest]\na = "1"\n[tool.pytest.ini_options]\nb = "1"\n', "Cannot use both"),
    ],
)
def test_a_configuration_that_pytest_can_not_read_is_said_in_its_words_and_nothing_is_written(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    (tmp_path / name).write_text(text)
    run = evaltape(tmp_path, "init")
    assert run.exit_code == 4
    assert run.errors.startswith("evaltape init: pytest can't read its configuration here: ")
    assert words in run.errors
    assert list(files_of(tmp_path)) == [name]


def test_where_a_key_can_not_be_added_without_harm_the_user_is_asked_to(tmp_path: Path) -> None:
    text = "tool = { ruff = { line-length = 100 } }\n"
    (tmp_path / "pyproject.toml").write_text(text)
    run = evaltape(tmp_path, "init")
    assert run.exit_code == 4
    assert 'Add it by hand: [tool.pytest] eval_suite = ["evals/suites/*.toml"]' in run.errors
    assert files_of(tmp_path) == {"pyproject.toml": text.encode()}
