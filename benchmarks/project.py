"""A project to measure in: as a user has it who installed Evaltape, with a suite of as many samples as asked for.

The samples are the embedded data set's over and over, each with an id and a last line of its own.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

from benchmarks.runner import PYTHON

ROOT = Path(__file__).parent.parent
ROWS = ROOT / "evals/data/chats/validation.jsonl"
PYTEST_INI = """\
[pytest]
testpaths = evals
eval_suite = suite-200.toml
addopts = --strict-markers --strict-config -p no:anyio
"""
PROMPT = "Summarize the following conversation in one sentence.\n\n"
SUITE = """
[dataset]
path = "samples-{n}.jsonl"

[prompt]
user = \"\"\"
{prompt}{{input}}
\"\"\"

[request]
temperature = 0
max_completion_tokens = 64

[models.bench]
model = "bench"
gates = {{ rouge1 = 0.05, rouge2 = 0.01, rougeL = 0.05 }}
"""


@dataclass(frozen=True)
class Project:
    """A folder with a pytest.ini, the tests and the suites. The plugin is the installed one."""

    folder: Path

    def pytest(self, n: int, *options: str) -> list[str]:
        """The command that evaluates `n` samples."""
        suite = self.suite(n)
        return [PYTHON, "-m", "pytest", "evals", "-m", "baseline", "-q", "--suite", str(suite), *options]

    def record(self, n: int, *options: str) -> list[str]:
        """The command that records `n` samples afresh and accepts their scores."""
        return self.pytest(n, "--record", "--snapshot-update", *options)

    def suite(self, n: int) -> Path:
        """The file of a suite of `n` samples."""
        path = self.folder / f"suite-{n}.toml"
        if not path.exists():
            self.samples(n)
            path.write_text(SUITE.format(n=n, prompt=PROMPT))
        return path

    def samples(self, n: int) -> Path:
        """The file of `n` samples."""
        path = self.folder / f"samples-{n}.jsonl"
        rows = [json.loads(line) for line in ROWS.read_text().splitlines()]
        with path.open("w") as file:
            for number in range(n):
                row = rows[number % len(rows)]
                own = {"id": f"b{number:05d}", "dialogue": f"{row['dialogue']}\nBen: and bring {number} of them"}
                file.write(json.dumps({**row, **own}, ensure_ascii=False) + "\n")
        return path

    def cassettes(self, n: int) -> Path:
        """The folder of the suite's recordings."""
        return self.folder / "cassettes" / f"suite-{n}"

    def forget(self, n: int) -> None:
        """Put the suite's recordings aside. Deleting them would slow down new ones: ext4 reuses no inode for a while."""
        if self.cassettes(n).exists():
            self.cassettes(n).rename(mkdtemp(prefix="aside-", dir=self.folder) + "/recordings")


@contextmanager
def project() -> Iterator[Project]:
    """A project in a temporary folder."""
    with TemporaryDirectory(prefix="evaltape-bench-") as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text(PYTEST_INI)
        (folder / "evals").mkdir()
        for file in (ROOT / "evals").glob("test_*.py"):
            shutil.copy(file, folder / "evals")
        yield Project(folder)
