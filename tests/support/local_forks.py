"""Forks services and trainings from a process where PyTorch and all that a training needs is imported, in a tenth of the time.

`FORKS.start()` starts that process, once; from then on trainings are forked, and `torchrun` and its processes, too.
"""

import gc
import importlib
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.children import SET_CHILD_SUBREAPER, control, fork_helper, fork_on_request, forking

ROOT = Path(__file__).parents[2]
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
    """The process that services and trainings are forked from."""

    def __init__(self) -> None:
        self._asking: socket.socket | None = None

    def start(self) -> None:
        """Start it, and go on while it imports; fork this process's trainings from now on."""
        if self._asking is not None or sys.platform != "linux":
            return
        control(SET_CHILD_SUBREAPER, 1)
        self._asking, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", __name__, str(there.fileno())]
        # What is read at the imports. A tiny model needs no second thread, and many processes run at once in the tests.
        environ = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        self._process = from_nothing(command, cwd=ROOT, env=environ, pass_fds=[there.fileno()])
        there.close()
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
            self._process.wait()


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


if __name__ == "__main__":
    for name in SLOW_IMPORTS:
        importlib.import_module(name)
    gc.freeze()
    fork_on_request(socket.socket(fileno=int(sys.argv[1])), _prepare)
