"""A repository of a user's own, with tests of its own, and a suite whose answers are there already."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.forked import start_forked
from tests.support.project import Project, Run, Running

SUITE = """
[dataset]
path = "rows.jsonl"
fields = { id = "id", input = "dialogue", reference = "summary" }

[metrics]
rouge1 = {}

[models.old]
predictions = "old.jsonl"
gates = { rouge1 = 0.5 }
"""
ROWS = [{"id": f"r{n}", "dialogue": f"Ann: {n} pears\nBob: ok", "summary": f"Ann has {n} pears"} for n in range(4)]
GATE = """
def test_gate(scores, metric):
    assert scores.mean(metric) >= scores.model.gates[metric], f"{scores.mean(metric):.4f} is too little"
"""


class Repository:
    """A folder with a git repository's worth of files, and runs of pytest in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._runs = 0
        root.mkdir()

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def configure(
        self, ini: str = "", suite: str = SUITE, rows: list[dict[str, Any]] = ROWS, answers: dict[str, str] | None = None
    ) -> None:
        """Add a suite whose answers are there already, and name it in pytest.ini; `answers` are those that differ, by id."""
        self.write("pytest.ini", f"[pytest]\neval_suite = checks/mine.toml\n{ini}")
        self.write("checks/mine.toml", suite)
        self.write("checks/rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        texts = {**{row["id"]: row["summary"] for row in rows}, **(answers or {})}
        lines = [json.dumps({"id": name, "prediction": text}) for name, text in texts.items()]
        self.write("checks/old.jsonl", "\n".join(lines))

    def pytest(self, *words: str, environment: dict[str, str] | None = None) -> Run:
        """Run pytest in a forked process."""
        self._runs += 1
        output = self.root.parent / f"{self.root.name}.output-{self._runs}"
        given = Project.environment(more={"COLUMNS": "120", **(environment or {})})
        args = ["-p", "no:cacheprovider", "-p", "no:anyio", *words]
        return Running(start_forked(args, self.root, given, output), output).wait()

    def pytest_in_new_interpreter(self, *words: str, asserts: bool = True) -> Run:
        """Run pytest in a Python that starts from nothing; without `asserts` it leaves out those that pytest doesn't rewrite."""
        options = [] if asserts else ["-O"]
        command = [sys.executable, *options, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:anyio", *words]
        done = subprocess.run(command, cwd=self.root, env=Project.environment(), capture_output=True, text=True, timeout=240)
        return Run(done.returncode, done.stdout + done.stderr)

    def results(self, *words: str) -> Any:
        """What the results file of a run says of the suite."""
        path = self.root / "results.json"
        run = self.pytest(*words, "--results", str(path))
        assert path.exists(), run.output
        return json.loads(path.read_text(encoding="utf-8"))["suites"]["mine"]
