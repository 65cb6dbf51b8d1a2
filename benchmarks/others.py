"""The other ways, as a user would have them, and the fuzzer: installed here, in folders of their own, not by the project."""

import os
import shutil
import subprocess
import venv
from collections.abc import Callable
from pathlib import Path

from benchmarks.project import ROOT, Project
from benchmarks.runner import PYTHON, Measured, run
from benchmarks.server import MODEL, Server

HERE = Path(__file__).parent / "plain"
BUILT = ROOT / "build" / "benchmarks"
INSPECT = "inspect_ai==0.3.285"


def pytest_recording() -> Path:
    """A folder with pytest-recording, to be put on the path beside what the project has installed."""
    return _installed("plain", lambda folder: _pip(PYTHON, "--no-deps", "--target", str(folder), "pytest-recording"))


def inspect_python() -> Path:
    """The interpreter of an environment with inspect_ai."""
    return _installed("inspect", _make_inspect) / "bin" / "python"


def fuzzer() -> Path:
    """A folder with Atheris, to be put on the path."""
    return _installed("fuzzer", lambda folder: _pip(PYTHON, "--no-deps", "--target", str(folder), "atheris"))


def _make_inspect(folder: Path) -> None:
    venv.create(folder, with_pip=True)
    _pip(str(folder / "bin" / "python"), INSPECT, "openai", "rouge-score")


def _installed(name: str, install: Callable[[Path], None]) -> Path:
    folder = BUILT / name
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            install(folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return folder


def _pip(python: str, *arguments: str) -> None:
    subprocess.run([python, "-m", "pip", "install", "--quiet", *arguments], check=True, capture_output=True)


class Plain:
    """A folder with one test file, whose tests are recorded by pytest-recording."""

    def __init__(self, project: Project, n: int) -> None:
        self.samples = project.samples(n)
        self.folder = project.folder / f"plain-{n}"
        self.folder.mkdir(exist_ok=True)
        shutil.copy(HERE / "test_plain.py", self.folder)
        # A file of settings of its own: the project's, a folder up, configures a suite.
        (self.folder / "pytest.ini").write_text("[pytest]\n")

    def command(self, *options: str) -> list[str]:
        return [PYTHON, "-m", "pytest", "-q", "--rootdir", str(self.folder), "--confcutdir", str(self.folder), *options]

    def env(self, server: dict[str, str] | None = None) -> dict[str, str]:
        nowhere = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_API_KEY": "sk-none-needed"}
        return {**(server or nowhere), "PYTHONPATH": str(pytest_recording()), "SAMPLES": str(self.samples)}

    def record(self, server: Server, *options: str) -> Measured:
        """Record every sample again."""
        shutil.rmtree(self.folder / "cassettes", ignore_errors=True)
        (self.folder / "cassettes/test_plain").mkdir(parents=True)  # Two workers that make it at once fail a test.
        return run(self.command("--record-mode=once", "-k", "test_sample", *options), self.folder, self.env(server.env))

    def replay(self, *options: str) -> Measured:
        return run(self.command(*options), self.folder, self.env())

    @property
    def bytes_on_disk(self) -> int:
        return sum(path.stat().st_size for path in self.folder.rglob("*.yaml"))


def tutorial(project: Project, n: int, threads: int, server: Server) -> Measured:
    """A thread pool with a sleep after each answer."""
    env = {**server.env, "SAMPLES": str(project.samples(n))}
    return run([PYTHON, HERE / "tutorial.py", str(threads)], project.folder, env)


def inspect(project: Project, n: int, in_flight: int, server: Server) -> Measured:
    """The same samples, server and scores as a task of inspect_ai."""
    shutil.copy(HERE / "inspect_task.py", project.folder)
    env = {**server.env, "SAMPLES": str(project.samples(n)), "PATH": os.environ["PATH"]}
    command = [inspect_python(), "-m", "inspect_ai", "eval", "inspect_task.py", "--model", f"openai-api/bench/{MODEL}"]
    flags = ["--max-connections", str(in_flight), "--max-samples", str(in_flight), "--display", "none"]
    of_provider = {"BENCH_BASE_URL": server.env["OPENAI_BASE_URL"], "BENCH_API_KEY": "sk-none-needed"}
    return run([*command, *flags], project.folder, {**env, **of_provider})
