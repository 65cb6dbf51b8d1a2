"""Files that Git LFS keeps elsewhere: in git there is a pointer to them, and in the clone what was fetched."""

import re
from pathlib import Path

from evaltape.against.git import Repository

BEGIN = b"version https://git-lfs.github.com/spec/"
_DIGEST = re.compile(rb"^oid sha256:([0-9a-f]{64})$", re.MULTILINE)
LARGEST = 1024
"""Bytes of a pointer, by its specification."""


def is_pointer(content: bytes) -> bool:
    """Return whether a file's content is a pointer."""
    return len(content) <= LARGEST and content.startswith(BEGIN)


def fetched(repository: Repository, pointer: bytes) -> bytes | None:
    """Return the content that a pointer stands for; None if this clone hasn't fetched it."""
    digest = _DIGEST.search(pointer)
    folder = repository.line("rev-parse", "--git-common-dir")
    if digest is None or folder is None:
        return None
    name = digest[1].decode()
    try:
        return (repository.top / Path(folder) / "lfs/objects" / name[:2] / name[2:4] / name).read_bytes()
    except OSError:
        return None
