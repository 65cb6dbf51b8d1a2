"""Where `evaltape init` writes: the current folder, pytest's rootdir, and the top of the git repository."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from evaltape.cli.init import config_files

EVALS = "evals"
SUITES = "suites/*.toml"
METRICS = "example_metrics"


@dataclass(frozen=True)
class Place:
    """The folders of one run of `init`. All paths are absolute."""

    here: Path
    """The current folder, where `pytest evals` will be typed: `evals/` lies in it."""
    root: Path
    """pytest's rootdir: recordings and ini paths are relative to it."""
    top: Path
    """The top of the git repository, where workflows lie; rootdir if there is no repository."""
    config: Path | None
    """The file that pytest reports as its configfile."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What that file sets, as strings and lists of strings."""

    @cached_property
    def evals(self) -> Path:
        """The folder of tests, suites and data."""
        return self.here / EVALS

    def suites(self) -> list[Path]:
        """Return the suite files that the configuration names, or will name; there may be more after a write."""
        patterns = self.patterns or [relative(self.evals / SUITES, self.root)]
        return sorted({path for pattern in patterns for path in self.root.glob(pattern)})

    @cached_property
    def patterns(self) -> list[str]:
        """The globs of `eval_suite`, relative to rootdir; empty if it isn't set."""
        value = self.options.get("eval_suite") or []
        lines = value.splitlines() if isinstance(value, str) else map(str, value)
        return [line.strip() for line in lines if line.strip()]

    @property
    def cassettes(self) -> Path:
        """The folder of the recordings."""
        return self.root / str(self.options.get("eval_cassettes") or "cassettes")

    @property
    def snapshots(self) -> Path:
        """The folder of the accepted scores."""
        named = self.options.get("eval_snapshots")
        return self.root / str(named) if named else self.evals / "__snapshots__"

    def metrics_file(self, name: str = METRICS) -> tuple[str, Path]:
        """Return a module of metrics as a suite names it, and its file.

        It lies in `evals/` unless it couldn't be imported from there: another package of that name is installed, or a folder
        on the way is no identifier. Then it lies in rootdir.
        """
        folders = Path(relative(self.evals, self.root)).parts
        if all(folder.isidentifier() for folder in folders) and not self._is_shadowed(folders[0]):
            return ".".join([*folders, name]), self.evals / f"{name}.py"
        return name, self.root / f"{name}.py"

    def _is_shadowed(self, package: str) -> bool:
        """Return whether an installed package comes before the folder of that name, which has no `__init__.py`."""
        installed = PathFinder.find_spec(package)
        return not (self.root / package / "__init__.py").is_file() and installed is not None and installed.origin is not None


def find_place(here: Path) -> Place:
    """Return the folders for a run in *here*. Raises `UserError` for a configuration that pytest can't read."""
    root, config, options = config_files.locate(here)
    top = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), root)
    return Place(here, root, top, config, options)


def relative(path: Path, folder: Path) -> str:
    """Return a path relative to a folder, with slashes, as configuration files and commands spell it."""
    return os.path.relpath(path, folder).replace(os.sep, "/")
