"""The few git commands that read commits: nothing is checked out, written or fetched."""

import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from evaltape.errors import UserError
from evaltape.files import lfs_digest
from evaltape.names import shown
from evaltape.text import cut

LONGEST = 300
"""Columns of git's words that a message repeats."""
NOT_INSTALLED = "git is not installed"
OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
"""Set for commands of a git hook; the repository is found by its folder instead."""
SETTINGS = {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1"}
"""Messages in English, and neither a lock nor a question nor a call to a server."""


class GitError(Exception):
    """A git command failed; the message is git's."""


class UnknownRef(UserError):
    """Nothing here has the name: no git ref, and perhaps no repository."""


class Repository(msgspec.Struct, frozen=True):
    """A git repository, by the top folder of its work tree."""

    top: Path

    def run(self, *args: str, given: bytes | None = None) -> bytes:
        """Return the output of a git command, with `given` as its input. Raises `GitError` if it fails."""
        return _git(self.top, *args, given=given)

    def lines(self, *args: str) -> list[str]:
        """Return the lines that a git command prints; none if it fails."""
        try:
            return self.run(*args).decode(errors="replace").splitlines()
        except GitError:
            return []

    def line(self, *args: str) -> str | None:
        """Return the first line that a git command prints; None if it fails or prints nothing."""
        return next(iter(self.lines(*args)), None)

    def fetched(self, pointer: bytes) -> bytes | None:
        """Return the content that a Git LFS pointer stands for; None if this clone hasn't fetched it."""
        name, folder = lfs_digest(pointer), self.line("rev-parse", "--git-common-dir")
        if name is None or folder is None:
            return None
        try:
            return (self.top / folder / "lfs/objects" / name[:2] / name[2:4] / name).read_bytes()
        except OSError:
            return None

    def files(self, commit: str, paths: Sequence[str]) -> dict[str, str]:
        """Return the files below some paths of a commit: their paths, relative to the top, with the ids of their content.

        Links and submodules are left out. Raises `GitError`.
        """
        listed = self.run("ls-tree", "-r", "-z", "--full-tree", commit, "--", *paths) if paths else b""
        entries = (entry.split("\t", 1) for entry in os.fsdecode(listed).split("\0") if entry)
        return {path: about.split()[2] for about, path in entries if about.startswith("100")}

    def contents(self, ids: Sequence[str]) -> list[bytes | None]:
        """Return the content of files by their ids; None for a file that isn't in this clone. Raises `GitError`."""
        printed = self.run("cat-file", "--batch", given="".join(f"{name}\n" for name in ids).encode()) if ids else b""
        contents: list[bytes | None] = []
        start = 0
        for _ in ids:
            end = printed.index(b"\n", start)
            about, start = printed[start:end].split(), end + 1
            if len(about) != 3:  # `<id> missing`
                contents.append(None)
                continue
            size = int(about[2])
            contents.append(printed[start : start + size])
            start += size + 1
        return contents


def find_repository(folder: Path, ref: str) -> Repository:
    """Return the repository that a folder lies in. Raises `UserError`, which names `ref`, if no repository can be read."""
    try:
        return Repository(Path(os.fsdecode(_git(folder, "rev-parse", "--show-toplevel").rstrip(b"\n"))))
    except GitError as error:
        reason, kind = str(error), UserError
    if "not a git repository" in reason:
        kind, reason = UnknownRef, f"{shown(folder)} is not in a git repository, so there is nothing to compare with"
    elif NOT_INSTALLED in reason:
        kind = UnknownRef
    raise kind(f"--against {ref}: {reason}. It also takes a folder of recordings: --against FOLDER")


def repository_of(path: Path) -> Repository | None:
    """Return the repository that a file or folder lies in, which need not exist; None if no repository can be read."""
    try:
        return find_repository(next(it for it in (path, *path.absolute().parents) if it.is_dir()), "HEAD")
    except (UserError, StopIteration):
        return None


def restored(paths: Sequence[Path]) -> str | None:
    """Return the command that restores some files from git where the work tree lacks or changed them; else None."""
    repository = repository_of(paths[0])
    if repository is None:
        return None
    try:
        names = [str(path.absolute()) for path in paths]
        tags = repository.run("ls-files", "-t", "-z", "--", *names).decode(errors="replace").split("\0")
        if any(tag.startswith("S ") for tag in tags):
            folder = paths[0].parent.resolve().relative_to(repository.top.resolve())
            return f"git sparse-checkout add {shlex.quote(folder.as_posix())}"
        changed = [it for it, name in zip(paths, names, strict=True) if repository.run("diff", "--name-only", "--", name)]
    except GitError:
        return None
    return f"git checkout -- {' '.join(shlex.quote(shown(path)) for path in changed)}" if changed else None


def _git(folder: Path, *args: str, given: bytes | None = None) -> bytes:
    environment = {name: value for name, value in os.environ.items() if name not in OF_A_HOOK}
    try:
        done = subprocess.run(
            ["git", *args], cwd=folder, env={**environment, **SETTINGS}, input=given or b"", capture_output=True, check=False
        )
    except FileNotFoundError:
        raise GitError(NOT_INSTALLED) from None
    except OSError as error:
        raise GitError(f"git can't be run: {error.strerror or error}") from None
    if done.returncode != 0:
        said = " ".join(done.stderr.decode(errors="replace").split()).removeprefix("fatal: ")
        raise GitError(f"git {args[0]}: {cut(said, LONGEST)}" if said else f"git {args[0]} failed")
    return done.stdout
