"""The training process as the service sees it: started for one job, read line by line, killed."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

SOURCE_ROOT = Path(__file__).resolve().parents[3]
"""The folder from which `evaltape` can be imported."""
SCRIPT = "evaltape.local.training.trainer"


class TrainerProcess:
    """A running training: `python -m evaltape.local.training.trainer`, or a launcher's command in place of `python`."""

    def __init__(self, config: Path, launcher: Sequence[str]) -> None:
        self._log = config.parent / "trainer.log"
        self._command = [*(launcher or [sys.executable]), "-m", SCRIPT, str(config)]
        paths = [str(SOURCE_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "HF_HUB_OFFLINE": "1"}
        with self._log.open("w") as log:
            # Its standard input stays open as long as this process lives: a trainer ends when it closes.
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=config.parent,
                env=environ,
                start_new_session=True,
            )

    def reports(self) -> Iterator[dict[str, Any]]:
        """Yield the reports of the process until it ends; a launcher's own lines are left out."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with contextlib.suppress(ValueError):
                report = json.loads(line)
                if isinstance(report, dict) and "type" in report:
                    yield report

    def kill(self) -> None:
        """End the process and all that it started."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> str:
        """Make sure that the process has ended; return the reason, for one that didn't say so itself."""
        code = self._process.poll()
        self.kill()
        code = self._process.wait() if code is None else code
        assert self._process.stdout is not None
        self._process.stdout.close()
        if code == -9:
            return "The training process was killed: most likely the machine ran out of memory"
        lines = [line for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
        command = " ".join(self._command[: self._command.index("-m")])
        return f"The training process `{command}` ended with exit code {code}: {lines[-1] if lines else 'no message'}"
