"""Forks services and trainings from the tests' own process, once PyTorch and all that a training needs is imported there.

From `FORKS.start()` on trainings are forked, in a tenth of the time, and `torchrun` and its processes, too.
"""

import faulthandler
import gc
import importlib
import logging
import socket
import subprocess
import sys
from typing import Any

from _pytest.assertion.rewrite import AssertionRewritingHook

from tests.support.children import fork_helper, forking

LAUNCHER, TRAINER = "torch.distributed.run", "evaltape.local.training.trainer"
SLOW_IMPORTS = [
    "torch",
    "torch.distributed.run",
    "datasets",
    "transformers",
    "transformers.models.llama.modeling_llama",
    "peft",
    "trl.trainer.sft_trainer",
    "trl.trainer.dpo_trainer",
    "uvicorn",
    "evaltape.cli.serve",
    "evaltape.local.batches",
    "evaltape.local.inference.chat",
    "evaltape.local.inference.engine",
    "evaltape.local.routes",
    "evaltape.local.server",
    "evaltape.local.training.worker",
]
from_nothing = subprocess.Popen
"""Starts a process as a user's, whatever else is forked."""


class Forks:
    """Services and trainings are forked from what this process has imported when they start."""

    def __init__(self) -> None:
        self._asking: socket.socket | None = None

    def start(self) -> None:
        """Import what they need, fork it, and fork this process's trainings from now on."""
        if self._asking is not None or sys.platform != "linux":
            return
        for name in SLOW_IMPORTS:
            importlib.import_module(name)
        self._asking = fork_helper(_prepare, _leave_pytest)
        subprocess.Popen = forking(self._asking, name_of)  # type: ignore[assignment,misc]

    def popen(self) -> type["subprocess.Popen[Any]"]:
        """Return a Popen that forks a service."""
        return from_nothing if self._asking is None else forking(self._asking, lambda args: "service")

    def stop(self) -> None:
        """End it; start processes from nothing again."""
        if self._asking is not None:
            subprocess.Popen = from_nothing  # type: ignore[misc]
            self._asking.close()
            self._asking = None


FORKS = Forks()


def name_of(args: Any) -> str | None:
    """The name of a training, or of what launches it, by its command; None for any other."""
    words = list(map(str, args))
    if sys.executable not in words[:1]:
        return None
    return "launcher" if LAUNCHER in words else "trainer" if TRAINER in words else None


def _prepare(name: str) -> None:
    """Fork the processes of a service and of a launcher as they are forked themselves."""
    if name == "trainer":
        return
    subprocess.Popen = forking(fork_helper(), name_of)  # type: ignore[assignment,misc]
    # It has taken the name before.
    handler: Any = importlib.import_module("torch.distributed.elastic.multiprocessing.subprocess_handler.subprocess_handler")
    handler.Popen = subprocess.Popen


def _leave_pytest() -> None:
    """Drop what pytest has put into this process: its handler of log records, its import hook and its handler of faults."""
    logging.getLogger().handlers.clear()
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, AssertionRewritingHook)]
    faulthandler.disable()
    gc.freeze()
