"""`evaltape COMMAND` in a folder, within this process: quick, and as a user sees it."""

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path

from evaltape.cli import main


@dataclass(frozen=True)
class Command:
    """What a command left behind."""

    exit_code: int
    output: str
    errors: str


def evaltape(folder: Path, *words: str) -> Command:
    """Run `evaltape WORDS` in a folder."""
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            exit_code = main(words)
        except SystemExit as end:
            exit_code = int(end.code or 0)
    return Command(exit_code, output.getvalue(), errors.getvalue())


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file under a folder but git's own and Python's caches."""
    left_out = {".git", "__pycache__"}
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and not left_out & set(path.parts)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}
