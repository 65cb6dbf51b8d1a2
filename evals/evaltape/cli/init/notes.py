"""What in a repository keeps the written suite and tests from being found, or from running beside others."""

import os
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from evaltape.cli.init.place import Place, relative
from evaltape.cli.init.templates import TESTS
from evaltape.text import visible

_SKIPPED = {"node_modules", "build", "dist", "site-packages", "__pycache__"}


def notes(place: Place, suite: Path | None) -> list[str]:
    """Return what the user should know of their configuration once *suite* is written, a sentence or two each."""
    return [*_other_suites(place, suite), *_other_paths(place), *_other_names(place), *_same_names(place)]


def _other_suites(place: Place, suite: Path | None) -> Iterator[str]:
    if suite is not None and suite not in place.suites():
        value = visible(" ".join(place.patterns))
        yield f"eval_suite = {value}: it doesn't name {relative(suite, place.root)}; add it there, or name it with --suite"


def _other_paths(place: Place) -> Iterator[str]:
    paths = _words(place.options.get("testpaths"))
    evals = relative(place.evals, place.root)
    covered = any(evals == path.rstrip("/") or evals.startswith(f"{path.rstrip('/')}/") or path == "." for path in paths)
    if paths and not covered:
        yield f"testpaths = {visible(' '.join(paths))}: a bare `pytest` doesn't run {evals}; `pytest {evals}` does"


def _other_names(place: Place) -> Iterator[str]:
    """Say so if pytest isn't told to look for files and functions that are named like ours."""
    for option, names in (("python_files", TESTS), ("python_functions", ("test_gate",))):
        patterns = _words(place.options.get(option))
        if patterns and not all(any(_matches(option, name, pattern) for pattern in patterns) for name in names):
            yield f"{option} = {visible(' '.join(patterns))}: pytest won't collect {next(iter(names))}; add its pattern"


def _matches(option: str, name: str, pattern: str) -> bool:
    """Match as pytest does: a function's pattern may be a prefix."""
    return fnmatch(name, pattern) or (option == "python_functions" and name.startswith(pattern))


def _same_names(place: Place) -> Iterator[str]:
    """Two test files of one name collide unless their folders are packages or the import mode is importlib."""
    if (place.evals / "__init__.py").is_file() or "importlib" in str(place.options.get("addopts")):
        return
    evals = relative(place.evals, place.here)
    for path in _test_files(place.root):
        if path.parent != place.evals and not (path.parent / "__init__.py").is_file():
            yield (
                f"{relative(path, place.here)} has the name of a file in {evals}: to collect both in one run, pytest needs "
                "--import-mode=importlib, or an __init__.py in one of the two folders"
            )


def _test_files(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED and not name.startswith("."))
        if "pyvenv.cfg" in files:
            folders.clear()
            continue
        yield from (Path(folder) / name for name in TESTS if name in files)


def _words(value: Any) -> list[str]:
    return value.split() if isinstance(value, str) else [str(word) for word in value or []]
