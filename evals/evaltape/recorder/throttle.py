"""How many requests may be in flight, and how fast they may start: as many as the API takes.

The number in flight starts slowly, is cut once per episode of refusals and grows again, as TCP's window does (Chiu & Jain
1989). The pace, in starts per second, follows the starts that the API took in the second before an episode: it begins well
under that number, stays a little under it, and then looks for more, ever more patiently (the curve of CUBIC: RFC 9438).
Timeouts lower the number in flight for the rest of the session: an API that works on more calls than it can finish in time
finishes no call. While an API can't be reached, a single call at a time tries it. A throttle holds no clock: times are seconds
from any origin, given by the caller.
"""

import contextlib
import math
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from evaltape.recorder.api.failures import LONGEST_WAIT_S, backoff_s

FIRST_LIMIT = 16
RESERVED_FILES = 64
"""Files beside the calls' own: locks, pipes, cassettes that are written, connections that are closing."""
SPACING_S = 0.002
"""Starts lie this far apart, so that a refusal arrives before a whole burst has been sent."""
UNTOLD_S = 1.0
"""How long a refusal pauses that doesn't say for how long."""
CUT = 0.7
CUT_BY_TIMEOUTS = 0.5
PACE_PLATEAU = 0.95
"""The share of the taken starts where the pace stays: right at the limit, two calls close together are too many."""
PACE_DIP = 0.05
"""How far under that share it starts."""
PACE_CURVE = 0.05
"""Starts per second by which it passes the plateau, a second after it reached it; after each episode half as much."""
MOST_HALVINGS = 4


@dataclass
class Throttle:
    """The state for a model of an API: a single instance sees every call of the session to it."""

    most: int
    limit: float = FIRST_LIMIT
    """How many calls may be in flight, if that is under `most`."""
    in_flight: int = 0
    episodes: int = 0
    taken: float = 0.0
    """Starts that the API took in the second before the last episode."""
    paused_by: str = ""
    """The API's words when it last asked for a pause."""
    answered: int = 0
    timeouts_alone: int = 0
    """How many timeouts in a row met a call that was alone in flight."""
    refused_since: float = float("inf")
    """When calls began to be refused without an answer; infinite while they aren't."""
    unreached_since: float = float("inf")
    """When calls began not to reach the API; infinite while they do."""
    _unreached: int = 0
    _limit_before: float = float("inf")
    _paused_until: float = 0.0
    _next_start: float = 0.0
    _last_cut: float = float("-inf")
    _last_slowed: float = float("-inf")
    _starts: deque[float] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.limit = float(min(self.most, self.limit))

    def wait_s(self, now: float) -> float:
        """Return the seconds until a call may start; infinite until a call in flight has ended."""
        if self.in_flight >= (1 if self._unreached else min(self.most, int(self.limit))):
            return float("inf")
        return max(0.0, self._paused_until - now, self._next_start - now)

    def pace(self, now: float) -> float:
        """Return the starts per second; infinite while no call has been refused."""
        if not self.episodes:
            return float("inf")
        curve = PACE_CURVE * 0.5 ** min(self.episodes - 1, MOST_HALVINGS)
        plateau_s = self._paused_until + math.cbrt(self.taken * PACE_DIP / curve)
        return self.taken * PACE_PLATEAU + curve * (max(now, self._paused_until) - plateau_s) ** 3

    def start(self, now: float) -> None:
        """Note that a call starts."""
        self.in_flight += 1
        self._next_start = max(now, self._next_start) + max(SPACING_S, 1 / self.pace(now))
        self._starts.append(now)
        while self._starts[0] <= now - 1:
            self._starts.popleft()

    def succeed(self, now: float, headers: Mapping[str, str]) -> None:
        """Note an answer: the limit grows by 1 per call up to where it was cut, and from there by 1 per round."""
        self.in_flight -= 1
        self.answered += 1
        self.timeouts_alone = 0
        self.refused_since = float("inf")
        self._reach()
        self.limit = min(self.most, self.limit + (1.0 if self.limit < self._limit_before else 1.0 / self.limit))
        for kind in ("requests", "tokens"):
            if headers.get(f"x-ratelimit-remaining-{kind}") == "0":
                self._pause(now, seconds(headers.get(f"x-ratelimit-reset-{kind}", "")))

    def fail(self) -> None:
        """Note that a call ended for a reason that says nothing about the pace."""
        self.in_flight -= 1
        self._reach()

    def miss(self, now: float) -> None:
        """Note that a call didn't reach the API: it is tried again one call at a time, ever less often."""
        self.in_flight -= 1
        self.unreached_since = min(self.unreached_since, now)
        if self._paused_until <= now:
            self._unreached += 1
            self._pause(now, backoff_s(self._unreached))

    def time_out(self, started: float, now: float) -> None:
        """Note that a call wasn't answered in time: fewer may be in flight from now on."""
        self.in_flight -= 1
        self._reach()
        if started <= self._last_slowed:
            return
        self._last_slowed = now
        at_once = min(self.most, max(1, int(self.limit)))
        self.timeouts_alone = self.timeouts_alone + 1 if at_once == 1 else 0
        self.most = max(1, int(0.75 * at_once))
        self.limit = float(max(1, int(CUT_BY_TIMEOUTS * at_once) if self.answered else 1))
        self._limit_before = self.limit

    def begin_anew(self) -> None:
        """Start calls singly until these have ended: an answer cost more than was known to be possible."""
        self.limit, self._limit_before = 1.0, float("inf")

    def refuse(self, started: float, now: float, retry_after_s: float | None) -> None:
        """Note a refusal for the pace; calls that started before the last cut belong to its episode."""
        self.in_flight -= 1
        self._reach()
        self.refused_since = min(self.refused_since, now)
        if started in self._starts:
            self._starts.remove(started)
        if started > self._last_cut:
            # Resumed under a second ago: too few starts to count, so estimate from the pace, which was too high.
            counts = not self.episodes or now - self._paused_until >= 1
            self.taken = max(1.0, sum(start > now - 1 for start in self._starts) if counts else self.pace(now) * CUT)
            self.episodes += 1
            self._limit_before, self.limit = self.limit, max(1.0, self.limit * CUT)
            self._last_cut = now
        self._pause(now, UNTOLD_S if retry_after_s is None else retry_after_s)

    def _reach(self) -> None:
        self.unreached_since, self._unreached = float("inf"), 0

    def _pause(self, now: float, seconds: float) -> None:
        self._paused_until = max(self._paused_until, now + min(seconds, LONGEST_WAIT_S))


def seconds(text: str) -> float:
    """Return the seconds in a duration as rate-limit headers write it: `1s`, `6m0s`, `20ms`; 0 for anything else."""
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)(ms|[smh])", text))


def most_in_flight(asked: int) -> int:
    """Return how many of `asked` calls may be in flight: each has a connection, and each answer is written to a file.

    Raises the process's limit of open files as far as the system lets it.
    """
    try:
        import resource
    except ImportError:  # Windows, where no such limit is in the way.
        return asked
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return asked
    wanted = asked + RESERVED_FILES
    if soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
            soft = raised
    return max(1, min(asked, soft - RESERVED_FILES))
