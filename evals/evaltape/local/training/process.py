"""The training process as the service sees it: started for one job, read line by line, killed."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SOURCE_ROOT = Path(__file__).resolve().parents[3]
"""Where `evaltape` can be imported from, whatever the current folder is."""


class TrainerProcess:
    """A running `python -m evaltape.local.training.trainer`."""

    def __init__(self, config: Path) -> None:
        self._log = config.parent / "trainer.log"
        command = [sys.executable, "-m", "evaltape.local.training.trainer", str(config)]
        with self._log.open("w") as log:
            # Its standard input stays open as long as this process lives: the trainer ends when it closes.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=SOURCE_ROOT
            )

    def reports(self) -> Iterator[dict[str, Any]]:
        """Yield what the process reports until it ends."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            yield json.loads(line)

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def end(self) -> str:
        """Make sure that the process has ended; return why, for one that didn't say so itself."""
        self._process.kill()
        code = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        if code == -9:
            return "The training process was killed: most likely the machine ran out of memory"
        lines = self._log.read_text(errors="replace").strip().splitlines() if self._log.exists() else []
        return f"The training process failed (exit code {code}): {lines[-1] if lines else 'no message'}"
