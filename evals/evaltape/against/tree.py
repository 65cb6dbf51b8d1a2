"""The other side of `--against`: the commit that a ref means, and the files of a commit, or of a folder.

A branch means its merge base with HEAD, any other ref itself. Paths are relative, with `/`.
"""

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path, PurePosixPath

import msgspec

from evaltape.errors import UserError
from evaltape.files import is_lfs_pointer
from evaltape.git import GitError, Repository, UnknownRef, find_repository
from evaltape.names import nearest, shown
from evaltape.samples.frozen import SAMPLES
from evaltape.scoring.paired_scores import Side
from evaltape.text import cut, listed, visible

BRANCHES = ("refs/heads/", "refs/remotes/", "FETCH_HEAD")
"""Beginnings of full names of refs that move on; FETCH_HEAD is usually a branch, too."""
REFS = ("refs/heads", "refs/remotes", "refs/tags")
MOST_NAMES = 8
SHORT = 10
"""Digits of a commit's id in messages."""
UNSHALLOW = "git fetch --unshallow (actions/checkout: fetch-depth: 0)"
REFETCH = "git fetch --refetch --no-filter"
_COMMIT = re.compile("[0-9a-f]{7,64}")


class Commit(msgspec.Struct, frozen=True):
    """A commit that recordings are read from."""

    ref: str
    """As it was given."""
    id: str
    day: str
    """When it was committed, as `2026-11-24`."""
    is_merge_base: bool
    """Whether it is the point where `ref` and HEAD went apart, and not `ref` itself."""

    @property
    def name(self) -> str:
        """A short name that git knows it by."""
        return self.id[:SHORT] if self.is_merge_base else self.ref

    @property
    def title(self) -> str:
        """`main (merge base 1a2b3c4 of 2026-11-24)`."""
        kind = "merge base " if self.is_merge_base else ""
        return f"{self.ref} ({kind}{self.id[:SHORT]} of {self.day})"


def find_commit(repository: Repository, ref: str) -> Commit:
    """Return the commit that a ref means.

    A branch that exists on a remote alone may be named as `git switch` takes it: `main` for `origin/main`. Raises
    `UnknownRef` for a ref that isn't known, `UserError` for one that isn't a commit or has no merge base with HEAD here.
    """
    head = _commit_of(repository, "HEAD")
    if head is None:
        raise UnknownRef(f"--against {ref}: there is no commit yet to compare with")
    for name in (ref, *(f"{remote}/{ref}" for remote in _remotes(repository))):
        tip = _commit_of(repository, name)
        if tip is not None:
            break
    if tip is None and repository.line("cat-file", "-t", ref) is None:
        raise UnknownRef(_unknown(repository, ref))
    if tip is None:
        raise UserError(f"--against {ref}: it names no commit. It takes a branch, a tag or a commit")
    full = repository.line("rev-parse", "--symbolic-full-name", "--verify", "--quiet", name) or ""
    commit = repository.line("merge-base", head, tip) if full.startswith(BRANCHES) else tip
    if commit is None:
        if not is_shallow(repository):
            lacks = "it has no commit in common with HEAD, so there is no merge base"
            raise UserError(f"--against {ref}: {lacks}. Name a commit instead")
        lacks = f"this clone is shallow and lacks the commit where {ref} and HEAD went apart"
        raise UserError(f"--against {ref}: {lacks}. Fetch it: {UNSHALLOW}")
    day = repository.line("show", "--no-patch", "--no-show-signature", "--format=%cs", commit)
    return Commit(ref, commit, day or "an unknown day", is_merge_base=commit != tip)


def _commit_of(repository: Repository, name: str) -> str | None:
    return repository.line("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")


def _remotes(repository: Repository) -> list[str]:
    """Return the remotes' names, `origin` first."""
    return sorted(repository.lines("remote"), key=lambda remote: (remote != "origin", remote))


def _unknown(repository: Repository, ref: str) -> str:
    remotes = _remotes(repository)  # `origin` names origin/HEAD.
    names = [name for name in repository.lines("for-each-ref", "--format=%(refname:short)", *REFS) if name not in remotes]
    refs = listed([cut(name, 60) for name in names], MOST_NAMES)
    message = f"--against {cut(ref, 100)}: no such git ref or folder.{nearest(ref, names)} Refs here: {refs or 'none'}"
    fetch = _fetch(repository, ref)
    if fetch is None:
        return message
    shallow = "This clone is shallow and may lack it" if is_shallow(repository) else "If it is on the remote alone"
    return f"{message}. {shallow}: {fetch}"


def is_shallow(repository: Repository) -> bool:
    """Return whether a clone lacks earlier commits."""
    return repository.line("rev-parse", "--is-shallow-repository") == "true"


def _fetch(repository: Repository, ref: str) -> str | None:
    """Return the command that fetches a ref with the commits down to its merge base; None if no command would."""
    remote = next(iter(_remotes(repository)), None)
    lacks_commits = is_shallow(repository)
    is_branch = repository.line("check-ref-format", "--branch", ref) == ref and not _COMMIT.fullmatch(ref)
    if remote is None or not (is_branch or lacks_commits):
        return None
    if not is_branch:
        return "git fetch --unshallow"
    name = ref.removeprefix(f"{remote}/")
    return f"git fetch {'--unshallow ' if lacks_commits else ''}{remote} {name}:refs/remotes/{remote}/{name}"


class Unreadable(Exception):
    """The other side, or a model's part of it, can't be read; the message shows the reason."""


class Tree:
    """The files of the other side: a folder, which is a copy of the repository or holds recordings with their suite file."""

    def __init__(self, side: Side, folder: Path, root: Path) -> None:
        self.side = side
        self.prefix = visible(f"{shown(folder)}/")
        """The prefix of its paths in messages."""
        self._folder, self._root = folder, root

    def place_of(self, path: Path) -> str | None:
        """Return where a file of today would lie in it; None if that is outside."""
        try:
            return Path(os.path.realpath(path)).relative_to(os.path.realpath(self._root)).as_posix()
        except ValueError:
            return None

    def name_of(self, path: str) -> str:
        """Return the name of a file in messages, as git has it: `main:cassettes/chats/samples.jsonl`."""
        return self.prefix + visible(path)

    def files(self, *paths: str) -> list[str]:
        """Return the files at and below some paths, sorted. Raises `Unreadable`."""
        found: set[str] = set()
        for path in paths:
            top = self._folder / path
            inside = [top] if top.is_file() else [item for item in top.rglob("*") if item.is_file()]
            found.update(item.relative_to(self._folder).as_posix() for item in inside)
        return sorted(found)

    def copied(self, paths: Sequence[str]) -> AbstractContextManager[Path]:
        """Return a context that gives a folder with these files, to be read. Raises `Unreadable`."""
        return nullcontext(self._folder)


class CommitTree(Tree):
    """The files of a commit, read through git."""

    def __init__(self, repository: Repository, commit: Commit) -> None:
        super().__init__(Side(commit.ref, commit.id, commit.title), repository.top, repository.top)
        self.prefix = visible(f"{commit.name}:")
        self._repository = repository
        self._ids: dict[str, str] = {}

    def files(self, *paths: str) -> list[str]:
        """Return the files at and below some paths, sorted. Raises `Unreadable`."""
        try:
            found = self._repository.files(self.side.commit, paths)
        except GitError as error:
            raise Unreadable(str(error)) from None
        found = {path: name for path, name in found.items() if ".." not in PurePosixPath(path).parts}
        self._ids.update(found)
        return sorted(found)

    @contextmanager
    def copied(self, paths: Sequence[str]) -> Iterator[Path]:
        """Return a context that gives a folder with these files, which `files` has listed."""
        with tempfile.TemporaryDirectory(prefix="evaltape-") as name:
            folder = Path(name)
            for parent in {(folder / path).parent for path in paths}:
                parent.mkdir(parents=True, exist_ok=True)
            for path, content in zip(paths, self._contents(paths), strict=True):
                (folder / path).write_bytes(content)
            yield folder

    def _contents(self, paths: Sequence[str]) -> Iterator[bytes]:
        try:
            contents = self._repository.contents([self._ids[path] for path in paths])
        except GitError as error:
            if "promisor" not in str(error):
                raise Unreadable(str(error)) from None
            raise Unreadable(
                f"this clone is a partial one without the files of {self.side.ref}. Fetch them: {REFETCH}"
            ) from None
        for path, content in zip(paths, contents, strict=True):
            if content is None:
                raise Unreadable(f"{self.name_of(path)} isn't in this clone. Fetch it: {REFETCH}")
            found = self._repository.fetched(content) if is_lfs_pointer(content) else content
            if found is None:
                raise Unreadable(
                    f"{self.name_of(path)} is a Git LFS pointer, and what it stands for isn't on this machine. "
                    f"Fetch it: git lfs fetch origin {self.side.commit[:12]}"
                )
            yield found


def find_tree(ref: str, root: Path) -> Tree:
    """Return the other side that `ref` names; `root` is pytest's root folder.

    A name that is both a git ref and a folder is the ref; `./main` is the folder. Raises `UserError` if it is neither, if
    the ref can't be read, or if the folder holds nothing to compare with.
    """
    if ref.startswith("-") or not ref.strip():
        raise UserError(f"--against {ref!r}: it takes a branch, a tag, a commit or a folder of recordings")
    folder = Path(ref)
    if folder.is_dir() and (folder.is_absolute() or ref.startswith(".")):
        return _folder_tree(folder, ref, root)
    try:
        repository = find_repository(root, ref)
        return CommitTree(repository, find_commit(repository, ref))
    except UnknownRef as unknown:
        if folder.is_dir():
            return _folder_tree(folder, ref, root, str(unknown).removeprefix(f"--against {ref}: "))
        raise


def _folder_tree(folder: Path, ref: str, root: Path, why_no_ref: str = "") -> Tree:
    if not any(next(folder.rglob(name), None) for name in (SAMPLES, "*.toml", "*.yaml")):
        also = f" As a git ref: {why_no_ref}" if why_no_ref else ""
        raise UserError(f"--against {ref}: the folder {shown(folder)} holds neither recordings nor a suite.{also}")
    return Tree(Side(ref, title=shown(folder)), folder, root)
