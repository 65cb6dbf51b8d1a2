"""Which commit a git ref means: a branch its merge base with HEAD, everything else itself."""

import re
from dataclasses import dataclass

from evaltape.errors import UserError
from evaltape.git import GitError, Repository, UnknownRef
from evaltape.names import nearest
from evaltape.text import cut, listed

BRANCHES = ("refs/heads/", "refs/remotes/", "FETCH_HEAD")
"""How the full name of what moves on begins; what was just fetched is usually a branch, too."""
REFS = ("refs/heads", "refs/remotes", "refs/tags")
MOST_NAMES = 8
SHORT = 10
_COMMIT = re.compile("[0-9a-f]{7,64}")


@dataclass(frozen=True)
class Commit:
    """A commit that recordings are read from."""

    ref: str
    """As it was given."""
    id: str
    day: str
    """When it was committed, as `2026-11-24`."""
    is_merge_base: bool
    """Whether it is where `ref` and HEAD went apart, and not `ref` itself."""

    @property
    def name(self) -> str:
        """What git knows it by, in few characters."""
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
    name = _known(repository, ref)
    tip = _commit_of(repository, name)
    if tip is None and repository.line("cat-file", "-t", name) is None:  # A full id is a name, there or not.
        raise UnknownRef(_unknown(repository, ref, _names(repository)))
    if tip is None:
        raise UserError(f"--against {ref}: it names no commit. It takes a branch, a tag or a commit")
    if not _is_branch(repository, name):
        return _described(repository, ref, tip, tip)
    base = repository.line("merge-base", head, tip)
    if base is None:
        raise UserError(_without_base(repository, ref))
    return _described(repository, ref, base, tip)


def _commit_of(repository: Repository, name: str) -> str | None:
    return repository.line("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")


def _is_branch(repository: Repository, name: str) -> bool:
    full = repository.line("rev-parse", "--symbolic-full-name", "--verify", "--quiet", name) or ""
    return full.startswith(BRANCHES)


def _described(repository: Repository, ref: str, commit: str, tip: str) -> Commit:
    day = repository.line("show", "--no-patch", "--no-show-signature", "--format=%cs", commit)
    return Commit(ref, commit, day or "an unknown day", is_merge_base=commit != tip)


# ---------------------------------------------------------------- refs that aren't there


def _known(repository: Repository, ref: str) -> str:
    """Return the name by which git knows a ref."""
    if repository.line("rev-parse", "--verify", "--quiet", "--end-of-options", ref) is not None:
        return ref
    names = _names(repository)
    remote = [f"{remote}/{ref}" for remote in _remotes(repository) if f"{remote}/{ref}" in names]
    if remote:
        return remote[0]
    raise UnknownRef(_unknown(repository, ref, names))


def _names(repository: Repository) -> list[str]:
    try:
        names = repository.run("for-each-ref", "--format=%(refname:short)", *REFS).decode(errors="replace").splitlines()
    except GitError:
        return []
    return [name for name in names if name not in _remotes(repository)]  # `origin` is what origin/HEAD is called.


def _remotes(repository: Repository) -> list[str]:
    """Return the remotes' names, `origin` first."""
    try:
        remotes = repository.run("remote").decode(errors="replace").splitlines()
    except GitError:
        return []
    return sorted(remotes, key=lambda remote: (remote != "origin", remote))


def _unknown(repository: Repository, ref: str, names: list[str]) -> str:
    refs = listed([cut(name, 60) for name in names], MOST_NAMES)
    message = f"--against {cut(ref, 100)}: no such git ref or folder.{nearest(ref, names)} Refs here: {refs or 'none'}"
    fetch = _fetch(repository, ref)
    if fetch is None:
        return message
    shallow = "This clone is shallow and may lack it" if _is_shallow(repository) else "If it is on the remote alone"
    return f"{message}. {shallow}: {fetch}"


def _without_base(repository: Repository, ref: str) -> str:
    if not _is_shallow(repository):
        return f"--against {ref}: it has no commit in common with HEAD, so there is no merge base. Name a commit instead"
    return (
        f"--against {ref}: this clone is shallow and lacks the commit where {ref} and HEAD went apart. Fetch it: "
        f"git fetch --unshallow (actions/checkout: fetch-depth: 0)"
    )


def _is_shallow(repository: Repository) -> bool:
    return repository.line("rev-parse", "--is-shallow-repository") == "true"


def _fetch(repository: Repository, ref: str) -> str | None:
    """Return the command that fetches what a ref may mean, with what a merge base takes, or None."""
    remote = next(iter(_remotes(repository)), None)
    is_shallow = _is_shallow(repository)
    is_branch = repository.line("check-ref-format", "--branch", ref) == ref and not _COMMIT.fullmatch(ref)
    if remote is None or not (is_branch or is_shallow):
        return None
    if not is_branch:
        return "git fetch --unshallow"
    name = ref.removeprefix(f"{remote}/")
    return f"git fetch {'--unshallow ' if is_shallow else ''}{remote} {name}:refs/remotes/{remote}/{name}"
