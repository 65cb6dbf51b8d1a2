"""How models and judges are asked: address, key and price, and the part of an answer that counts."""

import ipaddress
import re
from typing import Any
from urllib.parse import urlsplit

from evaltape.names import is_safe_key
from evaltape.suite.definition import AnswerRule, AnswerRules
from evaltape.suite.file.basics import AnswerTable
from evaltape.suite.file.reading import Place, value_shown
from evaltape.suite.file.tables import DefaultsTable, JudgeTable, ModelTable

EXAMPLE = "http://127.0.0.1:8000/v1"


def address_problem(url: str) -> str | None:
    """Return why no API can be asked at a base URL, in words that follow its name; None for a usable address.

    Neither a password nor a query is repeated: both can hold a key.
    """
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    plain = re.sub(r"[^/@]*@", "", re.split("[?#]", url)[0])
    if not is_address or not url.isprintable() or " " in url:
        return f"= {plain!r}: it takes an address like {EXAMPLE}"
    if "@" in parts.netloc:
        return "holds a user name or password; put the key into a variable and name it in api_key_env"
    if "?" in url or "#" in url:
        return f"= {plain!r} and more: paths are added behind it, so it takes neither ? nor #; a key goes into api_key_env"
    return None


def is_local(url: str) -> bool:
    """Return whether an address is on this machine, where a call costs nothing and usually needs no key."""
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
        if host == "localhost" or host.endswith(".localhost"):
            return True
        ip = ipaddress.ip_address(host)
    except ValueError:
        return False
    return ip.is_loopback or ip.is_unspecified


BESIDE = ("samples.jsonl", "dataset.json", "batches.json", "samples.jsonl.next", "dataset.json.next")
"""Files that lie beside the models' cassette folders."""


def read_endpoint(table: ModelTable | JudgeTable, place: Place, defaults: DefaultsTable) -> dict[str, Any]:
    """Return `base_url`, `api_key_env` and `price`: the table's own, or the suite's."""
    check_endpoint(table, place)
    return {key: getattr(table, key) or getattr(defaults, key) for key in ("base_url", "api_key_env", "price")}


def check_endpoint(table: ModelTable | JudgeTable | DefaultsTable, place: Place) -> None:
    """Refuse an address that nothing can be asked at, and a key in the place of a variable's name."""
    problem = None if table.base_url is None else address_problem(table.base_url)
    if problem is not None:
        raise place.error("base_url", problem)
    if table.api_key_env is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", table.api_key_env):
        raise place.error("api_key_env", "takes the name of an environment variable, never a key")


def check_key(place: Place, key: str) -> str:
    """Return a key that the user chose, if it can be part of a test id and name a folder."""
    if not is_safe_key(key):
        raise place.error(key, "can't be a test id and a folder's name; use letters, digits, _, - and .")
    return key


def check_pattern(pattern: str, place: Place) -> None:
    """Refuse the value of a key `regex` that is no regular expression."""
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise place.error("regex", f"= {value_shown(pattern)}: not a regular expression: {error}") from None


def read_answer(table: AnswerTable | None, place: Place) -> AnswerRules | None:
    """Return the steps in the order of the file; None without the table."""
    if table is None:
        return None
    if table.regex is not None:
        check_pattern(table.regex, place)
    return tuple(AnswerRule(step, getattr(table, step)) for step in table.written)
