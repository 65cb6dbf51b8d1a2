"""Calls that failed: the words of the API, whether the call may have been billed, and when to try again or give up.

A call that the API failed is tried `ATTEMPTS` times, with growing pauses, behind all that wait; a call without an answer in
time, `TIMEOUTS` times, for each may be billed. A call refused for its pace is tried again as long as others are refused
too: `REFUSALS` in a row while others are answered are about this call. A call that never left this machine costs nothing and
waits for the network. If the API answers nothing any more, the whole lane is given up: 2,000 calls needn't each find out.
"""

import datetime
import email.utils
import json
import math
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from evaltape.text import cut

ATTEMPTS = 5
TIMEOUTS = 3
REFUSALS = 8
PATIENCE_S = 600.0
"""How long a lane without any answer may go on being refused for its pace, or wait for a network that it had."""
UNREACHED_S = 15.0
"""How long an API is tried that was never reached in this session."""
HOPELESS = 5
"""So many calls of a lane in a row with the same cause that no wait mends, and the rest isn't asked."""
TIMEOUTS_ALONE = 2
"""So many timeouts in a row with a single call in flight, and the rest isn't asked."""
WRITE_PATIENCE_S = 10.0
"""How long an answer that can't be written is kept and tried."""
GIVE_UP_AFTER = 20
"""So many calls of a lane that failed one after another, after all their attempts, and the rest isn't asked."""
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 0.5, 20.0
WORTH_SAYING_S = 5.0
"""Longer waits are shown."""
LONGEST_WAIT_S = 120.0
"""The most that an API is granted that asks to be left alone for a while."""
Mend = Literal["attempt", "pace", "network", "time", "call", "model", "account"]
"""The remedy of a failure.

`attempt`: the same call again, a little later. `pace`: fewer calls a second. `network`: waiting until the API can be reached;
the call never left this machine. `time`: a longer timeout, or fewer calls at once. `call`: only another call; this one fails
for good. `model`: nothing in this session, for any call to the model. `account`: money, for all models under the same key.
"""
NO_ROUTE = (404, 405, 501)
"""Statuses of an API without the asked-for route: a listing, batches, a model's description."""
_PASSING = {408, 409}
_OF_THE_MODEL = {401, 403, 404, 405, 410, 501, 505}
NO_MONEY_CODES = {"insufficient_quota", "billing_not_active", "billing_hard_limit_reached", "account_deactivated"}
_NO_MONEY = re.compile(
    r"hard limit|account is not active|insufficient (balance|credit|funds)|credit balance is too low|out of credits", re.I
)
_PER_DAY = re.compile(r"\bper[ _-]?day\b|PerDay|\bRPD\b|\bTPD\b|\bdaily\b")
_TOO_LARGE = re.compile(r"(request|prompt|input) (is )?too large", re.IGNORECASE)
_ASKED_OF_LIMIT = re.compile(
    r"limit:? ?([\d,]+).{0,80}?requested:? ?([\d,]+)|requested:? ?([\d,]+).{0,80}?limit:? ?([\d,]+)", re.I
)
_WORDS = ("message", "detail", "error", "error_description", "msg", "title")
"""Where APIs put their reasons: OpenAI's, FastAPI's, and others."""
_TITLE = re.compile(r"<title>(.*?)</title>", re.IGNORECASE | re.DOTALL)


@dataclass(eq=False)
class CallFailed(Exception):
    """A call that gave no answer."""

    message: str
    """The API's own words, fit for a terminal, without keys and identities."""
    mend: Mend = "call"
    """Its remedy."""
    status: int | None = None
    code: str | None = None
    retry_after_s: float | None = None
    """The seconds that the API asked to wait, at most `LONGEST_WAIT_S`."""
    asked_to_wait_s: float | None = None
    """The same without that limit."""
    may_be_billed: bool = True
    """The API may charge for it; a refusal, or a request that never left this machine, surely costs nothing."""
    command: str | None = None
    """The command that helps, if any."""
    remedy: str = ""
    """The words before it."""

    @property
    def transient(self) -> bool:
        """Whether the same call may succeed later in this session."""
        return self.mend in ("attempt", "pace", "network", "time")


def of_status(status: int, words: str, code: str | None, headers: Mapping[str, str]) -> CallFailed:
    """Return the failure that an answer with an HTTP status of an error is."""
    asked_s = retry_after(headers)
    return CallFailed(
        message=f"HTTP {status}: {words}" + (f" ({cut(code, 60)})" if code and code not in words else ""),
        mend=_mend(status, words, code),
        status=status,
        code=code,
        retry_after_s=None if asked_s is None else min(asked_s, LONGEST_WAIT_S),
        asked_to_wait_s=asked_s,
        may_be_billed=not 300 <= status < 500 or status == 408,
    )


def _mend(status: int, words: str, code: str | None) -> Mend:
    if status == 402 or code in NO_MONEY_CODES or (status in (403, 429) and _NO_MONEY.search(words)):
        return "account"
    if status == 429:
        return "call" if _is_too_large(words) else "model" if _PER_DAY.search(words) else "pace"
    if 300 <= status < 400 or status in _OF_THE_MODEL:
        return "model"
    return "attempt" if status >= 500 or status in _PASSING else "call"


def _is_too_large(words: str) -> bool:
    """Whether a refusal for the pace is about the size of this request, which no wait makes smaller."""
    if _TOO_LARGE.search(words):
        return True
    found = _ASKED_OF_LIMIT.search(words)
    if found is None:
        return False
    limit, requested = (found[1], found[2]) if found[1] else (found[4], found[3])
    return int(requested.replace(",", "") or 0) > int(limit.replace(",", "") or 0)


def headers_of(response: Any) -> dict[str, str]:
    """Return an answer's headers by name in small letters. httpx2's own goes through all of them for each it is asked for."""
    return {name.lower().decode("latin-1"): value.decode("latin-1") for name, value in response.headers.raw}


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds an answer asks to wait: from `retry-after-ms` or `retry-after`, as a number or an HTTP date."""
    units = {"retry-after-ms": 0.001, "retry-after": 1.0}
    told = (_seconds(headers[name], headers.get("date"), unit) for name, unit in units.items() if name in headers)
    return next((seconds for seconds in told if seconds is not None), None)


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


def backoff_s(
    attempt: int, retry_after_s: float | None = None, first_s: float | None = None, longest_s: float | None = None
) -> float:
    """Return how long to wait after a failed attempt, counted from 1: not less than the API asked for.

    The wait doubles from `first_s` to `longest_s`, by default `FIRST_BACKOFF_S` and `LONGEST_BACKOFF_S`; up to half of it is
    left out at random.
    """
    doubled = (first_s or FIRST_BACKOFF_S) * 2.0 ** min(attempt, 30)
    return max(min(longest_s or LONGEST_BACKOFF_S, doubled) * random.uniform(0.5, 1.0), retry_after_s or 0.0)


def words_of(body: Any, otherwise: str = "") -> str:
    """Return the words in the body of an error, in any form that APIs use; `otherwise` without words."""
    text = message_in(body)
    if not text and body not in (None, "", {}, []):
        text = _TITLE.search(body)[1].strip() if isinstance(body, str) and _TITLE.search(body) else ""  # type: ignore[index]
        text = text or ("" if isinstance(body, str) else json.dumps(body, ensure_ascii=False))
    return text or otherwise


def message_in(body: Any) -> str:
    """Return the message in a body, if it stands where APIs put it; else nothing."""
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
