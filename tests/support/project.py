"""A user's project in a temporary folder, with six conversations and one model, and runs of pytest in it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.children import name_of
from tests.support.forked import REPOSITORY, start_forked

ROWS = [
    {"id": "t1", "dialogue": "Ben: the red car won\nZoe: great", "summary": "the red car won the race"},
    {"id": "t2", "dialogue": "Mia: lunch at noon\nOlu: ok", "summary": "Mia and Olu have lunch at noon."},
    {"id": "t3", "dialogue": "Kai: tea before coffee\nLea: no", "summary": "Coffee before tea, says Kai"},
    {"id": "t4", "dialogue": "Ida: hello?\nJon: hi", "summary": "Nobody came."},
    {"id": "t5", "dialogue": "Eva: we won\nFay: yes!", "summary": "Eva: we won"},
    {"id": "t6", "dialogue": "Gus: bring bread bread bread\nHal: ok", "summary": "Gus brings bread"},
]
# By hand, for the first line of each as the prediction: twice the overlap over both lengths.
ROUGE1 = [8 / 11, 8 / 11, 8 / 9, 0.0, 1.0, 4 / 8]
ROUGE2 = [6 / 9, 4 / 9, 0.0, 0.0, 1.0, 0.0]
ROUGEL = [8 / 11, 8 / 11, 2 / 9, 0.0, 1.0, 4 / 8]
SUITE = '''\
[dataset]
path = "../data/talks.jsonl"

[prompt]
user = """
Summarise this conversation.

{input}
"""

[request]
temperature = 0

[models.small]
model = "small-2026-01-01"
base_url = "BASE_URL"
gates = { rouge1 = 0.3 }
'''
PYTEST_INI = """\
[pytest]
testpaths = evals
pythonpath = .
eval_suite = evals/suites/chats.toml
addopts = --strict-markers --strict-config -p no:anyio
"""
NOWHERE = "http://127.0.0.1:9/v1"
"""The address of a project that is only replayed."""
ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Run:
    """What a run of pytest has left behind."""

    exit_code: int
    output: str

    @property
    def outcomes(self) -> dict[str, int]:
        """Counts from the last line, e.g. {"passed": 3}; errors and warnings included."""
        last = next((line for line in reversed(self.output.splitlines()) if re.search(r"\d+ \w+.* in [\d.]+s", line)), "")
        return {kind: int(number) for number, kind in re.findall(r"(\d+) ([a-z]+)", last.split(" in ")[0])}

    def assert_outcomes(self, **wanted: int) -> None:
        """Exactly these counts; warnings count only where they are asked for."""
        found = {kind: number for kind, number in self.outcomes.items() if kind.rstrip("s") != "warning" or kind in wanted}
        assert found == wanted, self.output

    def assert_refused(self, *texts: str) -> None:
        """A mistake of the user's: exit code 4, a message with these texts, no traceback."""
        assert self.exit_code == 4, self.output
        for text in texts:
            assert text in self.output, self.output
        assert "Traceback" not in self.output and "INTERNALERROR" not in self.output, self.output


class Running:
    """A run of pytest under way, the leader of its process group."""

    def __init__(self, process: Any, output: Path) -> None:
        self.process = process
        self.path = output

    @property
    def pid(self) -> int:
        """The process id of the main process."""
        return int(self.process.pid)

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self.path.read_text(errors="replace") if self.path.exists() else ""

    def kill(self) -> None:
        """SIGKILL the session with all its processes, and wait until they are gone, and their connections with them."""
        os.killpg(self.pid, signal.SIGKILL)
        wait_for(self.has_left_nothing)

    def workers(self) -> list[int]:
        """The process ids of its workers."""
        return self._children("worker")

    def recorder(self) -> int | None:
        """The process id of its recorder, while it has one."""
        return next(iter(self._children("recorder")), None)

    def _children(self, name: str) -> list[int]:
        listed = subprocess.run(
            ["ps", "-o", "pid=,comm=,args=", "--ppid", str(self.pid)], capture_output=True, text=True
        ).stdout
        processes = [line.split(maxsplit=2) for line in listed.splitlines()]
        return [int(pid) for pid, command, *args in processes if command == name or name_of(args) == name]

    def has_left_nothing(self) -> bool:
        """Whether every process of it has ended; zombies have, and the tests' own helper isn't counted."""
        listed = subprocess.run(["ps", "-eo", "pgid=,stat=,comm="], capture_output=True, text=True, check=True).stdout
        processes = [line.split(maxsplit=2) for line in listed.splitlines()]
        return all(state.startswith("Z") or name == "helper" for group, state, name in processes if int(group) == self.pid)

    def wait(self, timeout_s: float = 240) -> Run:
        """Wait for its end."""
        self.process.join(timeout_s)
        if self.process.exitcode is None:
            self.kill()
            raise AssertionError(f"still running after {timeout_s} s:\n{self.output}")
        return Run(self.process.exitcode, self.output)


def run_forked(folder: Path, *args: str, environment: dict[str, str] | None = None) -> Run:
    """Run `pytest ARGS` in any folder to its end."""
    output = folder.parent / f"{folder.name}.output"
    return Running(start_forked(list(args), folder, Project.environment(more=environment), output), output).wait()


class Project:
    """The folder of a project, and what a user does in it."""

    def __init__(self, root: Path, base_url: str) -> None:
        self.root = root
        self.base_url = base_url
        self.suite = root / "evals/suites/chats.toml"
        self.data = root / "evals/data/talks.jsonl"
        self.cassettes = root / "cassettes/chats"
        self.snapshots = root / "evals/__snapshots__/chats"
        self.patches = root.parent / f"{root.name}.patches"
        self._runs = 0
        for folder in (self.suite.parent, self.data.parent):
            folder.mkdir(parents=True)
        (root / "pytest.ini").write_text(PYTEST_INI)
        for name in self._tests():
            shutil.copy(REPOSITORY / name, root / name)
        self.suite.write_text(SUITE.replace("BASE_URL", base_url))
        self.write_rows(ROWS)

    @staticmethod
    def _tests() -> list[str]:
        return [f"evals/{path.name}" for path in (REPOSITORY / "evals").glob("test_*.py")]

    # ------------------------------------------------------------ what a user edits

    def write_rows(self, rows: list[dict[str, str]]) -> None:
        """Replace the data set."""
        self.data.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")

    def edit_suite(self, old: str, new: str) -> None:
        """Replace a text of the suite that must be in it."""
        text = self.suite.read_text()
        assert old in text
        self.suite.write_text(text.replace(old, new))

    def extend_suite(self, text: str) -> None:
        """Add tables to the suite; BASE_URL in them is the server's."""
        self.suite.write_text(self.suite.read_text() + text.replace("BASE_URL", self.base_url))

    def take(self, recording: Path) -> "Project":
        """Take over the recordings and the accepted scores of a project; return this one."""
        for folder in ("cassettes", "evals/__snapshots__"):
            shutil.copytree(recording / folder, self.root / folder)
        return self

    def set_waits(self, module: str, **seconds: float) -> None:
        """Shorten the harness's own waits, constants of one of its modules, so that tests need not sit them out."""
        lines = "".join(f"    module.{name} = {value}\n" for name, value in seconds.items())
        self.patch(module, f"    import evaltape.{module} as module\n{lines}")

    def patch(self, module: str, lines: str) -> None:
        """Run indented lines of Python at the start of the process that a module belongs to: controller or recorder."""
        if module.split(".")[0] in ("recorder", "recording"):
            self.patches.mkdir(exist_ok=True)
            with (self.patches / "sitecustomize.py").open("a") as file:
                file.write(f"import sys\nif any(part.endswith('boot.py') for part in sys.orig_argv):\n{lines}")
        else:
            with (self.root / "conftest.py").open("a") as file:
                file.write(f"\nif True:\n{lines}")

    def cassette(self, sample: str, model: str = "small") -> Path:
        """The cassette of a sample."""
        return self.cassettes / model / f"{sample}.yaml"

    def recorded(self, model: str = "small") -> dict[str, str]:
        """The cassettes of a model: sample name to text."""
        return {path.stem: path.read_text() for path in sorted((self.cassettes / model).glob("*.yaml"))}

    def answers(self, model: str = "small") -> dict[str, str]:
        """The cassettes of a model, without what differs from one recording of the same answers to the next."""
        return {
            name: re.sub(r'"(x-evaltape-latency-s|date)": \["[^"]*"\]', "", text) for name, text in self.recorded(model).items()
        }

    def files(self) -> dict[str, bytes]:
        """Every file under the project but caches."""
        found = [path for path in sorted(self.root.rglob("*")) if path.is_file()]
        return {str(path.relative_to(self.root)): path.read_bytes() for path in found if "__pycache__" not in path.parts}

    # ------------------------------------------------------------ what a user runs

    def start(
        self, *args: str, key: str | None = None, environment: dict[str, str] | None = None, forks: bool = True
    ) -> Running:
        """Start `pytest ARGS` in the project; each may hold several words. `key` is the OPENAI_API_KEY.

        Its workers and its recorder are forked, as it is itself, or else started from nothing.
        """
        self._runs += 1
        output = self.root.parent / f"{self.root.name}.output-{self._runs}"
        words = [word for arg in args for word in (arg.split() if arg.startswith("-") and "=" not in arg else [arg])]
        patched = {"PYTHONPATH": str(self.patches)} if self.patches.exists() else {}
        given = {**patched, **(environment or {})}
        return Running(start_forked(words, self.root, self.environment(key, given), output, forks), output)

    def run(self, *args: str, key: str | None = None, environment: dict[str, str] | None = None, forks: bool = True) -> Run:
        """Run `pytest ARGS` in the project to its end."""
        return self.start(*args, key=key, environment=environment, forks=forks).wait()

    def run_in_new_interpreter(
        self, *args: str, code: str = "sys.exit(pytest.console_main())", environment: dict[str, str] | None = None
    ) -> Run:
        """As `run`, in a Python that starts from nothing."""
        command = [sys.executable, "-c", f"import sys, pytest; sys.argv[0] = 'pytest'; {code}", *args]
        done = subprocess.run(command, cwd=self.root, env=self.environment(more=environment), capture_output=True, text=True)
        return Run(done.returncode, done.stdout + done.stderr)

    def record(self, *args: str) -> Run:
        """Record the baseline, accept its scores, and be sure that this worked."""
        run = self.run("evals", "-m", "baseline", "--record", "--snapshot-update", *args)
        assert run.exit_code == 0, run.output
        return run

    def results_file(self, *args: str) -> Any:
        """The results file of a run of the baseline."""
        return self._results("evals", "-m", "baseline", *args)

    def results(self, *args: str) -> Any:
        """What the results file of a run of the baseline says of the suite."""
        return self.results_file(*args)["suites"]["chats"]

    def _results(self, *args: str) -> Any:
        path = self.root / "results.json"
        path.unlink(missing_ok=True)
        run = self.run(*args, "--results", str(path))
        assert path.exists(), run.output
        return json.loads(path.read_text())

    @staticmethod
    def environment(key: str | None = None, more: dict[str, str] | None = None) -> dict[str, str]:
        """The environment of a run: no key but a given one, nothing of this test run's."""
        kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        return {**kept, **({"OPENAI_API_KEY": key} if key else {}), **(more or {})}


def wait_for(condition: Callable[[], Any], timeout_s: float = 120) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.01)
