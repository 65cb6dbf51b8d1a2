"""Where the other side lies: the files of a commit, or of a folder. Paths in it are relative, with `/`."""

import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path, PurePosixPath

from evaltape.against.commit import Commit, find_commit
from evaltape.errors import UserError
from evaltape.files import is_lfs_pointer
from evaltape.git import GitError, Repository, UnknownRef, find_repository
from evaltape.names import shown
from evaltape.samples.frozen import SAMPLES
from evaltape.text import visible

REFETCH = "git fetch --refetch --no-filter"


class Unreadable(Exception):
    """The other side, or one model's part of it, can't be read; the message is the reason, fit to be shown."""


class Tree(ABC):
    """The files of the other side."""

    def __init__(self, ref: str, title: str, commit: str | None, root: Path, prefix: str) -> None:
        self.ref = ref
        """The git ref or the folder, as it was given."""
        self.title = title
        """What messages call it."""
        self.commit = commit
        """The commit's id; None for a folder."""
        self.prefix = visible(prefix)
        """What stands before its paths in messages."""
        self._root = root

    def place_of(self, path: Path) -> str | None:
        """Return where one of today's files would lie in it; None if that is outside."""
        try:
            return Path(os.path.realpath(path)).relative_to(os.path.realpath(self._root)).as_posix()
        except ValueError:
            return None

    @abstractmethod
    def files(self, *paths: str) -> list[str]:
        """Return the files at and below some paths, sorted. Raises `Unreadable`."""

    @abstractmethod
    def copied(self, paths: Sequence[str]) -> AbstractContextManager[Path]:
        """Return a context whose value is a folder that holds these files, to be read. Raises `Unreadable`."""

    def name_of(self, path: str) -> str:
        """Return the name in messages of one of its files: `main:cassettes/chats/samples.jsonl`, as git has it."""
        return self.prefix + visible(path)


class CommitTree(Tree):
    """The files of a commit, read through git."""

    def __init__(self, repository: Repository, commit: Commit) -> None:
        super().__init__(commit.ref, commit.title, commit.id, repository.top, f"{commit.name}:")
        self._repository = repository
        self._commit_id = commit.id
        self._ids: dict[str, str] = {}

    def files(self, *paths: str) -> list[str]:
        """Return the files at and below some paths, sorted. Raises `Unreadable`."""
        try:
            found = self._repository.files(self._commit_id, paths)
        except GitError as error:
            raise Unreadable(str(error)) from None
        found = {path: name for path, name in found.items() if ".." not in PurePosixPath(path).parts}
        self._ids.update(found)
        return sorted(found)

    @contextmanager
    def copied(self, paths: Sequence[str]) -> Iterator[Path]:
        """Return a context whose value is a folder that holds these files, which `files` has listed."""
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
            raise Unreadable(f"this clone is a partial one without the files of {self.ref}. Fetch them: {REFETCH}") from None
        for path, content in zip(paths, contents, strict=True):
            if content is None:
                raise Unreadable(f"{self.name_of(path)} isn't in this clone. Fetch it: {REFETCH}")
            yield self._from_lfs(path, content) if is_lfs_pointer(content) else content

    def _from_lfs(self, path: str, pointer: bytes) -> bytes:
        content = self._repository.fetched(pointer)
        if content is None:
            raise Unreadable(
                f"{self.name_of(path)} is a Git LFS pointer, and what it stands for isn't on this machine. "
                f"Fetch it: git lfs fetch origin {self._commit_id[:12]}"
            )
        return content


class FolderTree(Tree):
    """The files of a folder: a copy of the repository, or a folder of recordings with their suite file."""

    def __init__(self, folder: Path, ref: str, root: Path) -> None:
        super().__init__(ref, shown(folder), None, root, f"{shown(folder)}/")
        self._folder = folder

    def files(self, *paths: str) -> list[str]:
        """Return the files at and below some paths, sorted. Raises `Unreadable`."""
        found: set[str] = set()
        for path in paths:
            top = self._folder / path
            inside = [top] if top.is_file() else [item for item in top.rglob("*") if item.is_file()]
            found.update(item.relative_to(self._folder).as_posix() for item in inside)
        return sorted(found)

    def copied(self, paths: Sequence[str]) -> AbstractContextManager[Path]:
        """Return a context whose value is the folder itself."""
        return nullcontext(self._folder)


def find_tree(ref: str, root: Path) -> Tree:
    """Return the other side that `ref` names; `root` is pytest's root folder.

    A name that is both a git ref and a folder is the ref; `./main` is the folder. Raises `UserError` if it is neither, if
    the ref can't be read, or if the folder holds nothing to compare with.
    """
    if ref.startswith("-") or not ref.strip():
        raise UserError(f"--against {ref!r}: it takes a branch, a tag, a commit or a folder of recordings")
    folder = Path(ref)
    if folder.is_dir() and (folder.is_absolute() or ref.startswith(".")):
        return _folder_tree(folder, ref, root, "")
    try:
        repository = find_repository(root, ref)
        return CommitTree(repository, find_commit(repository, ref))
    except UnknownRef as unknown:
        if folder.is_dir():
            return _folder_tree(folder, ref, root, str(unknown).removeprefix(f"--against {ref}: "))
        raise


def _folder_tree(folder: Path, ref: str, root: Path, why_no_ref: str) -> FolderTree:
    if not any(next(folder.rglob(name), None) for name in (SAMPLES, "*.toml", "*.yaml")):
        also = f" As a git ref: {why_no_ref}" if why_no_ref else ""
        raise UserError(f"--against {ref}: the folder {shown(folder)} holds neither recordings nor a suite.{also}")
    return FolderTree(folder, ref, root)
