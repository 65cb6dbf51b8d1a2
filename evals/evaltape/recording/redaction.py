"""Secrets in texts: they are kept from the disk, and taken out of an API's error messages.

Some keys are words. Servers on a user's own machine take any key, so people set "ollama" or "EMPTY", and an answer's
"fp_ollama" is no leak. So a key is looked for in two ways:

- A key that can't be a word (`is_random`) is a secret in any place, inside another word too. With a digit in it, it is also
  found in disguise: in other case, split by signs or line ends, in base64, hex or URL encoding, half of a long key.
- A key that can be a word is a secret in a cassette only if it stands as a whole word where keys stand: behind "Bearer",
  "api_key", "token" and the like. Error messages quote keys, so they lose it in any place where it is a whole word.

So a real but short and simple password can be recorded, if a model repeats it without calling it a password: nothing tells it
from the word. No header of a request is recorded, so the session's key never reaches the disk by that way.

Beside the session's own key, a text in the form of a key is a secret: `sk-` or `Bearer`, then a run of characters with a
digit among them. "Bearer responsibilities" and "sk-learn-compatible" are prose.
"""

import base64
import json
import re
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from urllib.parse import unquote

REMOVED = "[removed]"
HOLDS_KEY = "holds an API key or what looks like one"
"""Of a prompt, an answer or a request that no recording may hold: asking again ends the same."""
LONG_KEY = 16
"""From so many characters on a key is random."""
_LEAST_RANDOM, _LEAST_KINDS = 8, 3
_KINDS = (re.compile("[a-z]"), re.compile("[A-Z]"), re.compile("[0-9]"), re.compile("[^a-zA-Z0-9]"))
_KEY_LIKE = re.compile(r"\bsk-(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{16,}|\bBearer (?=[A-Za-z._~+/-]*[0-9])[A-Za-z0-9._~+/-]{16,}")
_WHERE_KEYS_STAND = r"(?i:bearer|key|token|secret|password|passwd|authorization|credential)s?"
_BETWEEN = r"[\W_]{0,6}(?:(?i:is|was|provided|given)[\W_]{1,6})?"
_BETWEEN_LETTERS = re.compile(r"\\[nrtbf]|[^a-z0-9]+")
"""These split a key: escapes of JSON, and every sign."""
_IN_ERRORS = re.compile(
    r"\bsk-[\w*.-]{4,}|\b(?:org|proj|req|user)[-_](?=[a-z]*[A-Z0-9])[A-Za-z0-9]{8,}|\bBearer (?=\S*[0-9*])\S{8,}"
)


def is_random(key: str) -> bool:
    """Return whether a key can't be a word: it is long, or mixes three of small, capital, digit and other."""
    kinds = sum(kind.search(key) is not None for kind in _KINDS)
    return len(key) >= LONG_KEY or (len(key) >= _LEAST_RANDOM and kinds >= _LEAST_KINDS)


def holds_secret(text: str, keys: Collection[str] = ()) -> bool:
    """Return whether a text to be written holds a key of the session's, or a text in the form of a key."""
    # Looking for a plain text first spares nearly every answer the patterns, which take forty times as long.
    if ("sk-" in text or "Bearer " in text) and _KEY_LIKE.search(text):
        return True
    if any(any(it in text for it in _spellings(key)) and _is_key_in(text, key) for key in keys if key):
        return True
    disguises = [it for key in keys if is_random(key) and _KINDS[2].search(key) for it in _disguises(key)]
    return bool(disguises) and any(any(it in plain for it in disguises) for plain in _plain(text))


def without_secrets(text: str, key: str = "") -> str:
    """Return an API's words without the session's key, other keys, and ids of organisations, projects and users."""
    return _IN_ERRORS.sub(REMOVED, _in_errors(key).sub(REMOVED, text) if key else text)


def _is_key_in(text: str, key: str) -> bool:
    """Return whether a text that reads like the key is a key."""
    if is_random(key):
        return True
    return re.search(rf"{_WHERE_KEYS_STAND}{_BETWEEN}(?<![A-Za-z0-9]){_any_of(_spellings(key))}(?![\w-])", text) is not None


@lru_cache(maxsize=64)
def _in_errors(key: str) -> re.Pattern[str]:
    spellings = _any_of(_spellings(key))
    return re.compile(spellings if is_random(key) else rf"(?<![\w-]){spellings}(?![\w-])")


@lru_cache(maxsize=64)
def _spellings(key: str) -> tuple[str, ...]:
    """Return a key as it is, and as JSON writes it, the longest first."""
    spellings = {key, json.dumps(key)[1:-1], json.dumps(key, ensure_ascii=False)[1:-1]}
    return tuple(sorted(spellings, key=len, reverse=True))


@lru_cache(maxsize=64)
def _disguises(key: str) -> tuple[str, ...]:
    """Return how a random key may stand in a text once that is `_plain`: itself, in base64 and hex, or half of it."""
    data = key.encode()
    encoded = [base64.b64encode(b"\0" * shift + data).decode().rstrip("=") for shift in range(3)]
    # Beyond the first and last characters, which bits of the neighbours change.
    spellings = {key, data.hex(), *(text[(0, 2, 3)[shift] : -1] for shift, text in enumerate(encoded))}
    half = len(_only_letters(key)) // 2
    halves = {_only_letters(key)[:half], _only_letters(key)[half:]} if half >= LONG_KEY else set()
    return tuple(text for text in {_only_letters(spelling) for spelling in spellings} | halves if len(text) >= _LEAST_RANDOM)


def _plain(text: str) -> Iterator[str]:
    """Yield a text as its letters and digits alone, in small letters; again with its percent signs decoded."""
    yield _only_letters(text)
    if "%" in text:
        yield _only_letters(unquote(text))


def _only_letters(text: str) -> str:
    return _BETWEEN_LETTERS.sub("", text.lower())


def _any_of(texts: Iterable[str]) -> str:
    return f"(?:{'|'.join(map(re.escape, texts))})"
