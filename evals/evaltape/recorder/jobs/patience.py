"""How long a job's driver waits for what, in seconds. Every wait but the training itself has a deadline."""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """The waits of one driver."""

    read_s: float = 60.0
    """How long a question that costs nothing is asked again while the API fails to answer it."""
    poll_s: float = 900.0
    """The same for the state of a job that is under way: a lost network doesn't end the wait for a training of hours."""
    order_s: float = 120.0
    """How long an order is sent again that the API surely refused for its pace (429)."""
    look_s: float = 90.0
    """How long the API's listing is looked through for a job whose order got no answer, and a new job may be unknown (404)."""
    look_every_s: float = 2.0
    """Between two such looks."""
    rivals_s: float = 180.0
    """How long a job of ours that isn't training yet is compared with those of other sessions."""
    settle_s: float = 2.5
    """How long the comparison goes on after the listing shows our job: creation times are whole seconds."""
    unknown_s: float = 600.0
    """How long a status is put up with that isn't documented."""
    extra_s: float = 15.0
    """How long what only decorates a job (events, metrics) is asked for."""
    first_backoff_s: float = 0.5
    longest_backoff_s: float = 20.0
    longest_retry_after_s: float = 60.0
    """The most of a Retry-After that is waited."""
    upload_bytes_per_s: float = 100_000.0
    """The slowest upload that isn't given up."""

    def pause_s(self, attempt: int, retry_after_s: float | None) -> float:
        """Seconds until the next attempt, after `attempt` failed ones, the last of which asked to wait `retry_after_s`."""
        if retry_after_s is not None:
            return min(retry_after_s, self.longest_retry_after_s)
        return min(self.longest_backoff_s, self.first_backoff_s * 2.0 ** min(attempt, 16)) * random.uniform(0.5, 1.0)
