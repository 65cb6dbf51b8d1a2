"""Where `evaltape init` writes: the current folder, pytest's rootdir and configfile, and the top of the git repository."""

import os
import re
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from evaltape.errors import UserError
from evaltape.names import shown

EVALS = "evals"
SUITES = "suites/*.toml"
METRICS = "example_metrics"


@dataclass(frozen=True)
class Place:
    """The folders of a run of `init`. All paths are absolute."""

    here: Path
    """The current folder, where `pytest evals` will be typed: `evals/` lies in it."""
    root: Path
    """pytest's rootdir: recordings and ini paths are relative to it."""
    top: Path
    """The top of the git repository, where workflows lie; rootdir if there is no repository."""
    config: Path | None
    """The file that pytest reports as its configfile."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The options in that file, as strings and lists of strings."""

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
        if all(folder.isidentifier() for folder in folders):
            # An installed package comes before a folder of that name that has no `__init__.py`.
            installed, is_package = PathFinder.find_spec(folders[0]), (self.root / folders[0] / "__init__.py").is_file()
            if is_package or installed is None or installed.origin is None:
                return ".".join([*folders, name]), self.evals / f"{name}.py"
        return name, self.root / f"{name}.py"


def find_place(here: Path) -> Place:
    """Return the folders for a run in *here*, as pytest determines them for `pytest evals`.

    Raises `UserError` with pytest's own words for a configuration that it can't read.
    """
    from _pytest.config.findpaths import determine_setup
    from _pytest.outcomes import OutcomeException

    arguments = [str(here / EVALS)] if (here / EVALS).is_dir() else []
    try:
        setup = determine_setup(inifile=None, override_ini=None, args=arguments, rootdir_cmd_arg=None, invocation_dir=here)
    except (Exception, OutcomeException) as error:
        raise UserError(f"pytest can't read its configuration here: {error}") from None
    root, config, options = setup[:3]
    top = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), root)
    return Place(here, root, top, config, _plain(options))


def relative(path: Path, folder: Path) -> str:
    """Return a path relative to a folder, with slashes, as configuration files and commands spell it."""
    return os.path.relpath(path, folder).replace(os.sep, "/")


KEY = "eval_suite"
_HEADER = re.compile(r"\[(?P<name>[^\]]*)\]")


def with_suites(file: Path, text: str | None, pattern: str) -> tuple[str, str]:
    """Return the file's text with `eval_suite` set to *pattern*, and the line that was added.

    *text* is None for a file to be created. Comments and layout are kept. The result is read by pytest's own reader before it
    is returned: if any other key changed, a `UserError` asks to add the line by hand.
    """
    before = text or ""
    newline = "\r\n" if "\r\n" in before else "\n"
    table = _table(file, before)
    line = f"{KEY} = {pattern}"
    if file.suffix == ".toml":  # `[tool.pytest.ini_options]` takes text, as ini files do.
        line = f'{KEY} = "{pattern}"' if table == "tool.pytest.ini_options" else f'{KEY} = ["{pattern}"]'
    after = _with_line(file, before, table, line, newline)
    if not _only_adds(file, before, after, pattern):
        raise UserError(f"{shown(file)}: can't add a key without changing others. Add it by hand: [{table}] {line}")
    return after, f"[{table}] {line}"


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """pytest 9 wraps each value in an object that knows where it is from."""
    return {key: getattr(value, "value", value) for key, value in options.items()}


def _table(file: Path, text: str) -> str:
    """Return the table or section of pytest's options in a file of this name."""
    if file.name == "setup.cfg":
        return "tool:pytest"
    if file.suffix != ".toml" or file.name in ("pytest.toml", ".pytest.toml"):
        return "pytest"
    options = tomllib.loads(text).get("tool", {}).get("pytest", {})
    return "tool.pytest.ini_options" if "ini_options" in options else "tool.pytest"


def _with_line(file: Path, text: str, table: str, line: str, newline: str) -> str:
    """Put the line behind the last key of its table, ahead of the comments that lead to the next; append a missing table."""
    lines = text.splitlines(keepends=True)
    headers = {index: match["name"] for index, row in enumerate(lines) if (match := _HEADER.match(row))}
    start = next((index for index, name in headers.items() if name == table), None)
    if start is None:
        gap = newline if text.strip() else ""
        inside = _in_toml(text, table, line) if file.suffix == ".toml" else None
        return inside or _ended(text, newline) + f"{gap}[{table}]{newline}{line}{newline}"
    end = next((index for index in headers if index > start), len(lines))
    content = [index for index in range(start, end) if lines[index].strip() and lines[index].lstrip()[0] not in "#;"]
    after = content[-1] + 1
    return _ended("".join(lines[:after]), newline) + line + newline + "".join(lines[after:])


def _in_toml(text: str, table: str, line: str) -> str | None:
    """Put the line into a table without a header of its own, inline or of dotted keys; None if there is no such table."""
    import tomlkit

    document: Any = tomlkit.parse(text)
    parent: Any = document
    for name in table.split("."):
        if name not in parent:
            return None
        parent = parent[name]
    parent[KEY] = tomlkit.parse(line)[KEY]
    return tomlkit.dumps(document)


def _ended(text: str, newline: str) -> str:
    return text + newline if text and not text.endswith("\n") else text


def _only_adds(file: Path, before: str, after: str, pattern: str) -> bool:
    """Return whether pytest reads the same as before, and the new key."""
    try:
        read, wanted = _as_pytest_reads(file, after), _as_pytest_reads(file, before)
    except Exception:  # If pytest refuses the new text, it isn't written.
        return False
    added = read.pop(KEY, None)
    if added not in (pattern, [pattern]) or read != wanted:
        return False
    # The whole of a TOML document but for our key; an ini file's other sections are its lines, which nobody touches.
    return file.suffix != ".toml" or _pruned(tomllib.loads(after)) == _pruned(tomllib.loads(before))


def _as_pytest_reads(file: Path, text: str) -> dict[str, Any]:
    from _pytest.config.findpaths import load_config_dict_from_file

    with tempfile.TemporaryDirectory(prefix="evaltape-") as folder:
        copy = Path(folder) / file.name
        copy.write_text(text, encoding="utf-8", newline="")
        return _plain(load_config_dict_from_file(copy) or {})


def _pruned(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    kept = {key: _pruned(item) for key, item in value.items() if key != KEY}
    return {key: item for key, item in kept.items() if item != {}}
