"""Waiting for room on a full disk, so that it costs no training."""

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from evaltape.local.state.disk import is_full

LOG = logging.getLogger("evaltape.local")
T = TypeVar("T")
RETRY_S = 1.0


class Closing(Exception):
    """The service is closing; what was to be done is left to its next start."""


class Patience:
    """Repeats what fails because the disk is full, until there is room or the service closes."""

    def __init__(self, on_wait: Callable[[], None] = lambda: None) -> None:
        """`on_wait` is called once for each wait, in the thread that waits."""
        self._on_wait = on_wait
        self._closing = threading.Event()

    @property
    def is_over(self) -> bool:
        """Whether the service is closing."""
        return self._closing.is_set()

    def end(self) -> None:
        """End all waits."""
        self._closing.set()

    def __call__(self, action: Callable[[], T]) -> T:
        """Return what `action` returns once it succeeds. Raise `Closing` if the service closes before."""
        warned = False
        while True:
            try:
                return action()
            except Exception as error:
                if not is_full(error):
                    raise
                if not warned:
                    LOG.warning("the disk of the state folder is full (%s): fine-tuning goes on when there is room", error)
                    self._on_wait()
                    warned = True
            if self._closing.wait(RETRY_S):
                raise Closing
