"""Names that become files, folders and test ids."""

import difflib
import hashlib
import os
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

MAX_NAME = 120
_SAFE_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_TAKEN = {"job"}
"""A tuned model's folder holds `job.yaml`, too."""
_RESERVED = {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10))}


@lru_cache(maxsize=100_000)
def file_name(sample_id: str) -> str:
    """The name of a sample's cassette and test, without suffix: safe on every file system, and unique to the id.

    Letters, digits, `_`, `-` and inner dots stay; every other byte is percent-encoded, so `1/2`, `1?2` and `1-2` are
    three names. A name over 120 characters is cut and closed with a digest of the whole.
    """
    name = quote(sample_id, safe="").replace(".repeat-", "%2Erepeat-").replace(".again-", "%2Eagain-")
    if name.startswith("."):
        name = "%2E" + name[1:]
    if name.endswith("."):
        name = name[:-1] + "%2E"
    if name.split(".")[0].lower() in _RESERVED | _TAKEN:
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if len(name) > MAX_NAME:
        name = name[: MAX_NAME - 17] + "-" + hashlib.sha256(sample_id.encode()).hexdigest()[:16]
    return name


def is_safe_key(key: str) -> bool:
    """Whether a key of the suite can be a folder's name and a part of a test id as it stands."""
    plain = _SAFE_KEY.fullmatch(key) is not None and not key.endswith(".") and len(key) <= MAX_NAME
    return plain and key.split(".")[0].lower() not in _RESERVED


def nearest(word: str, valid: Iterable[str]) -> str:
    """` Did you mean 'x'?` for a mistyped word, or nothing where no valid word is near."""
    close = difflib.get_close_matches(word, list(valid), n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else ""


def shown(path: Path) -> str:
    """A path as a person would type it: relative to the current folder where it lies inside."""
    try:
        relative = os.path.relpath(path)
    except OSError:  # A test has removed the current folder.
        return str(path)
    return str(path) if relative.startswith("..") else relative
