"""How many files this process may open: each call in flight has a connection, and each answer is written to a file."""

import contextlib

RESERVED = 64
"""Files beside those of calls: locks, pipes, cassettes that are written, connections that are closing."""


def most_in_flight(asked: int) -> int:
    """Return how many of `asked` calls may be in flight. Raises the process's limit as far as the system lets it."""
    try:
        import resource
    except ImportError:  # Windows, where no such limit is in the way.
        return asked
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return asked
    wanted = asked + RESERVED
    if soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
            soft = raised
    return max(1, min(asked, soft - RESERVED))
