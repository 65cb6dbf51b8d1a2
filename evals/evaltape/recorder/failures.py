"""Calls that failed: what the API said, whether to try again and when, and whether the call may have been billed."""

import datetime
import email.utils
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evaltape.text import cut

LONGEST_WAIT_S = 120.0
"""The most that an API is granted that asks to be left alone for a while."""
_TRANSIENT = {408, 409, 429}
_LASTING = {501, 505}
"""Errors of the server that no further try can mend."""
_WORDS = ("message", "detail", "error", "error_description", "msg", "title")
"""Where APIs say what is wrong: OpenAI's, FastAPI's, and others."""
_TITLE = re.compile(r"<title>(.*?)</title>", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class CallFailed(Exception):
    """A call that gave no answer."""

    message: str
    """The API's own words, fit for a terminal, without keys and identities."""
    status: int | None = None
    code: str | None = None
    transient: bool = False
    """It may be tried again."""
    rate_limited: bool = False
    """It was refused for its pace."""
    ends_run: bool = False
    """No further call can succeed either."""
    retry_after_s: float | None = None
    """What the API asked to wait, at most `LONGEST_WAIT_S`."""
    asked_to_wait_s: float | None = None
    """The same as the API put it."""
    may_be_billed: bool = True
    """The API may charge for it; only a refusal, or a request that was never sent, surely costs nothing."""


def of_status(status: int, words: str, code: str | None, headers: Mapping[str, str], exhausted: bool = False) -> CallFailed:
    """Return the failure that an answer with an HTTP status of an error is; `exhausted` if the account has no money left."""
    asked_s = retry_after(headers)
    return CallFailed(
        message=f"HTTP {status}: {words}" + (f" ({cut(code, 60)})" if code and code not in words else ""),
        status=status,
        code=code,
        transient=(status in _TRANSIENT or (status >= 500 and status not in _LASTING)) and not exhausted,
        rate_limited=status == 429 and not exhausted,
        ends_run=exhausted,
        retry_after_s=None if asked_s is None else min(asked_s, LONGEST_WAIT_S),
        asked_to_wait_s=asked_s,
        may_be_billed=not 300 <= status < 500,
    )


def headers_of(response: Any) -> dict[str, str]:
    """Return an answer's headers by name in small letters. httpx2's own goes through all of them for each it is asked for."""
    return {name.lower().decode("latin-1"): value.decode("latin-1") for name, value in response.headers.raw}


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds an answer asks to wait: from `retry-after-ms` or `retry-after`, as a number or an HTTP date."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        if name in headers:
            seconds = _seconds(headers[name], headers.get("date"), unit)
            if seconds is not None:
                return seconds
    return None


def _seconds(text: str, date: str | None, unit: float) -> float | None:
    try:
        number = float(text)
        return None if math.isnan(number) else max(0.0, number * unit)
    except ValueError:
        pass
    try:
        # By the API's own clock, if it tells it: ours may be off by more than the wait.
        now = _moment(date) if date else datetime.datetime.now(datetime.UTC)
        return max(0.0, (_moment(text) - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def _moment(text: str) -> datetime.datetime:
    moment = email.utils.parsedate_to_datetime(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)


# ---------------------------------------------------------------- what an API says


def words_of(body: Any, otherwise: str = "") -> str:
    """Return what the body of an error says, in whatever form APIs say it; `otherwise` if it says nothing."""
    text = message_in(body)
    if not text and body not in (None, "", {}, []):
        text = _TITLE.search(body)[1].strip() if isinstance(body, str) and _TITLE.search(body) else ""  # type: ignore[index]
        text = text or ("" if isinstance(body, str) else json.dumps(body, ensure_ascii=False))
    return text or otherwise


def message_in(body: Any) -> str:
    """Return the message in a body, if it stands where APIs put one; else nothing."""
    return _words(body).strip()


def _words(body: Any) -> str:
    if isinstance(body, str):
        return "" if body.lstrip().startswith("<") else body
    if isinstance(body, Mapping):
        place = ".".join(map(str, body["loc"])) + ": " if isinstance(body.get("loc"), list) else ""
        return next((place + words for key in _WORDS if (words := _words(body.get(key)))), "")
    if isinstance(body, list):
        return "; ".join(filter(None, map(_words, body)))
    return ""
