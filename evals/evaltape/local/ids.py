"""Ids and times as the API gives them."""

import secrets
import string
import time

_ALPHABET = string.ascii_letters + string.digits


def new_id(prefix: str, length: int = 24) -> str:
    """Return an id in OpenAI's shape: `file-`, `ftjob-` and the like, and random letters."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(length))


def now() -> int:
    """Return the time in whole seconds since 1970."""
    return int(time.time())
