"""What `evaltape init` does to files: planned as a whole, then written, so that an error leaves nothing half done."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from evaltape.errors import UserError
from evaltape.files import write_whole
from evaltape.names import shown

WROTE, CHANGED, KEPT = "wrote", "changed", "kept"


@dataclass(frozen=True)
class Change:
    """What becomes of one file."""

    path: Path
    """The file, absolute."""
    before: str | None
    """Its text; None if there is no such file."""
    after: str
    """The text it is to have."""
    purpose: str
    """What it is for, or what is added to it, in a few words."""
    is_users: bool = False
    """Whether the user has a file of this name with something else in it."""

    @property
    def kind(self) -> str:
        """`wrote`, `changed`, or `kept` for a file that stays as it is."""
        return WROTE if self.before is None else KEPT if self.before == self.after else CHANGED

    def apply(self) -> None:
        """Write the file unless it stays as it is; links are followed, and an existing file keeps its permissions."""
        if self.kind == KEPT:
            return
        target = self.path.resolve()
        try:
            mode = target.stat().st_mode if self.before is not None else None
            write_whole(target, self.after)
            if mode is not None:
                target.chmod(mode & 0o777)
        except OSError as error:
            raise UserError(f"{shown(self.path)}: can't be written: {error.strerror}") from None


def new_file(path: Path, text: str, purpose: str) -> Change:
    """Return the change that creates a file; one that exists already stays as it is, whatever is in it."""
    before = read(path)
    return Change(path, before, text if before is None else before, purpose, before not in (None, text))


def with_lines(path: Path, lines: Iterable[str]) -> Change:
    """Return the change that appends those lines that a file doesn't have yet."""
    before = read(path)
    text = before or ""
    newline = "\r\n" if "\r\n" in text else "\n"
    missing = [line for line in lines if line not in text.splitlines()]
    ended = text + newline if text and not text.endswith("\n") and missing else text
    return Change(path, before, ended + "".join(line + newline for line in missing), ", ".join(missing))


def read(path: Path) -> str | None:
    """Return a file's text with its line ends as they are; None if there is no such file.

    Raises `UserError` for anything that isn't a readable text file.
    """
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{shown(path)}: not a readable text file: {error}") from None
