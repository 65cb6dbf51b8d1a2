"""When a call is tried again, and when it and its whole lane are given up: every wait has an end.

A call that the API failed is tried `ATTEMPTS` times, with growing pauses, behind all that wait; a call that wasn't answered in
time, `TIMEOUTS` times, for each may be billed. One that was refused for its pace is tried again as long as others are refused
too: `REFUSALS` in a row while others are answered are about this call. One that never left this machine costs nothing and
waits for the network. A lane whose API answers nothing any more is given up as a whole: 2,000 calls needn't each find out.
"""

import random

ATTEMPTS = 5
TIMEOUTS = 3
REFUSALS = 8
PATIENCE_S = 600.0
"""How long a lane without any answer may go on being refused for its pace, or wait for a network that it had."""
UNREACHED_S = 15.0
"""How long an API is tried that was never reached in this session."""
HOPELESS = 5
"""So many calls of a lane in a row with one cause that no wait mends, and the rest isn't asked."""
TIMEOUTS_ALONE = 2
"""So many timeouts in a row with a single call in flight, and the rest isn't asked."""
WRITE_PATIENCE_S = 10.0
"""How long an answer that can't be written is kept and tried."""
GIVE_UP_AFTER = 20
"""So many calls of a lane that failed one after another, after all their attempts, and the rest isn't asked."""
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 0.5, 20.0
WORTH_SAYING_S = 5.0
"""Longer waits are shown."""


def backoff_s(attempt: int, retry_after_s: float | None = None) -> float:
    """Return how long to wait after a failed attempt, counted from 1: not less than the API asked for."""
    doubled = FIRST_BACKOFF_S * float(2 ** min(attempt, 30))
    backoff = min(LONGEST_BACKOFF_S, doubled) * random.uniform(0.5, 1.0)
    return max(backoff, retry_after_s or 0.0)
