"""Evaltape as users have it: a wheel, installed into an environment of its own, run in a repository that isn't this one."""

import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from tests.support.forked import REPOSITORY
from tests.support.project import ENVIRONMENT, Run

SOURCES = ("pyproject.toml", "README.md", "LICENSE", "evals/evaltape")
UNUSED = "-p no:hypothesispytest -p no:anyio -p no:schemathesis"
"""Plugins of the tests' own environment, which take longer to import than a run takes."""
SCRIPT = "#!{python}\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n"


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel; its dependencies are those of the Python that runs the tests."""

    folder: Path

    def run(self, folder: Path, *command: str, environment: dict[str, str] | None = None, stdin: str = "") -> Run:
        """Run a command in a folder, as in a shell where the environment is active."""
        done = subprocess.run(
            command,
            cwd=folder,
            env={**self.environment, **(environment or {})},
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
        )
        return Run(done.returncode, done.stdout)

    def shell(self, folder: Path, script: str, environment: dict[str, str] | None = None) -> Run:
        """Run a script as a step of a workflow is run: by bash, until the first command that fails."""
        return self.run(folder, "bash", "--noprofile", "--norc", "-e", "-c", script, environment=environment)

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a run: nothing of this test run's, and no package index."""
        kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        path = f"{self.folder / 'bin'}{os.pathsep}{kept['PATH']}"
        own = {"PATH": path, "VIRTUAL_ENV": str(self.folder), "PIP_NO_INDEX": "1", "COLUMNS": "120", "PYTEST_ADDOPTS": UNUSED}
        return {**kept, **own}


def install(folder: Path) -> Installed:
    """Build the wheel and install it, alone, into a new environment `venv` below *folder*."""
    source, wheels, made = folder / "source", folder / "wheels", Installed(folder / "venv")
    for name in SOURCES:
        origin, copy = REPOSITORY / name, source / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_dir():
            shutil.copytree(origin, copy, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(origin, copy)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    _call(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(source))
    venv.create(made.folder, with_pip=False, symlinks=True)
    python = made.folder / "bin/python"
    _call(*pip, "--python", str(python), "install", "--no-deps", "--no-index", *map(str, wheels.glob("*.whl")))
    packages = next(made.folder.glob("lib/python*/site-packages"))
    others = [path for path in sys.path if Path(path).name == "site-packages"]
    (packages / "dependencies.pth").write_text("\n".join(others) + "\n")
    for script in entry_points(group="console_scripts"):
        if script.name in ("pytest", "pip"):
            file = made.folder / "bin" / script.name
            file.write_text(SCRIPT.format(python=python, module=script.module, function=script.attr))
            file.chmod(0o755)
    return made


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
