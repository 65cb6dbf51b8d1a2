"""Files written whole or not at all, and files that only stand for others."""

import contextlib
import os
import re
import secrets
import shlex
import stat
from pathlib import Path

from evaltape.errors import UserError
from evaltape.names import shown
from evaltape.text import visible

_OPEN = re.compile(r"/dev/(stdout|stderr|fd/[0-9]+)")
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_LFS_DIGEST = re.compile(rb"^oid sha256:([0-9a-f]{64})$", re.MULTILINE)
_CONFLICT = re.compile(rb"^<{7} [^\n]*\n(?s:.*?)^={7}\r?\n(?s:.*?)^>{7} ", re.MULTILINE)
FETCH = "git lfs pull"
"""The command that fetches the content of pointers."""


def write_whole(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, so that a reader, or a run killed midway, sees either the old or the new file."""
    data = text.encode()
    try:
        _replace(path, data)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, data)


def write_output(path: Path, text: str) -> None:
    """Write `text` to a path that a person named: a link is followed, and a device or a pipe is written to.

    Anything else is written whole. Raises `OSError`, also for a pipe that nobody reads.
    """
    if is_special(path):
        with open(_descriptor(path), "wb") as file:
            file.write(text.encode())
    else:
        write_whole(path.resolve(), text)


def is_special(path: Path) -> bool:
    """Whether there is something that must not be replaced: not a file, or a file that is open already (`/dev/stdout`)."""
    try:
        is_file = stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return False
    return not is_file or _OPEN.fullmatch(str(path)) is not None


def _descriptor(path: Path) -> int:
    """Open a special file for writing: a file that is open already continues where it is."""
    already = _OPEN.fullmatch(str(path))
    if already:
        return os.dup({"stdout": 1, "stderr": 2}.get(already[1]) or int(already[1].removeprefix("fd/")))
    descriptor = os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
    os.set_blocking(descriptor, True)
    return descriptor


def is_lfs_pointer(content: bytes) -> bool:
    """Return whether a file's content is a Git LFS pointer: it holds the address of the content, kept elsewhere."""
    return content.startswith(_LFS_POINTER)


def lfs_digest(content: bytes) -> str | None:
    """Return the SHA-256 of the content that a Git LFS pointer stands for; None for any other file."""
    match = _LFS_DIGEST.search(content) if is_lfs_pointer(content) else None
    return match[1].decode() if match else None


def refuse_lfs_pointer(path: Path, content: bytes) -> None:
    """Raise `UserError` for a file that Git LFS has not fetched."""
    if is_lfs_pointer(content):
        raise UserError(f"{shown(path)}: a Git LFS pointer and not the file itself. Fetch it: {FETCH}")


def has_conflict(content: bytes) -> bool:
    """Return whether a file holds git's conflict markers."""
    return _CONFLICT.search(content) is not None


def keep_a_side(path: Path) -> str:
    """Return the command that ends a file's conflict without a call."""
    return f"git checkout --ours -- {shlex.quote(shown(path))}"


def conflict_in(path: Path, content: bytes | None = None) -> str | None:
    """Return the message about a file that holds git's conflict markers; None for any other.

    `content` is the file's, where it was read already.
    """
    try:
        content = path.read_bytes() if content is None else content
    except OSError:
        return None
    if not has_conflict(content):
        return None
    return f"{shown(path)}: holds the conflict markers of a git merge. Take one side whole (or --theirs): {keep_a_side(path)}"


def refuse_unusable(path: Path, content: bytes) -> None:
    """Raise `UserError` for a file that Git LFS has not fetched, or that holds git's conflict markers."""
    refuse_lfs_pointer(path, content)
    problem = conflict_in(path, content)
    if problem is not None:
        raise UserError(problem)


def numbered_lines(path: Path, kind: str, remedy: str = "") -> list[tuple[int, str]]:
    """Return the lines of a file of JSON lines that hold something, with their numbers from 1.

    Raises `UserError` for an unreadable file, which names the `kind` (`labels`) and, if it can't be opened, the `remedy`.
    """
    try:
        content = path.read_bytes()
        refuse_unusable(path, content)
        lines = content.decode("utf-8-sig").split("\n")
    except OSError as error:
        raise UserError(f"{shown(path)}: the {kind} can't be read: {error.strerror or error}{remedy}") from None
    except ValueError as error:  # Not UTF-8, or no possible path.
        raise UserError(f"{visible(shown(path))}: not a file of {kind} ({error})") from None
    return [(number, line) for number, line in enumerate(lines, 1) if line.strip()]


def remove_unfinished(folder: Path) -> None:
    """Remove the leftovers of killed writes anywhere in a folder. Nobody else may be writing there."""
    for path in folder.rglob(".*.part"):
        path.unlink(missing_ok=True)


def _replace(path: Path, data: bytes) -> None:
    temporary = f"{path.parent}{os.sep}.{path.name[:80]}.{secrets.token_hex(4)}.part"
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
