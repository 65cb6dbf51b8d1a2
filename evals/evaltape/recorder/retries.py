"""When a call is tried again, and when it and its whole lane are given up: every wait has an end.

A call that the network or the API failed is tried `ATTEMPTS` times, with growing pauses. One that was refused for its pace
is tried again for as long as `PATIENCE_S` allows, since the throttle learns from each refusal. A lane whose API answers
nothing any more is given up as a whole: 2,000 calls needn't each find out.
"""

import random

ATTEMPTS = 5
PATIENCE_S = 600.0
"""How long a call, and a lane without any answer, may go on being refused for its pace."""
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
