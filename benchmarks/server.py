"""The tests' API server in a process of its own; it tells what it saw when its input ends.

python -m benchmarks.server --latency 1
"""

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from benchmarks.runner import PYTHON
from tests.support.server import ApiServer, Reply
from tests.support.server.http import Asked
from tests.support.server.server import CHAT

MODEL = "bench"


def first_three_lines(prompt: str) -> str:
    """A text of the length that a model would give."""
    return "\n".join(prompt.strip().split("\n\n", 1)[-1].split("\n")[:3])


@dataclass
class TimedServer(ApiServer):
    """Knows when it was asked."""

    times: list[float] = field(default_factory=list)

    def _reply(self, asked: Asked) -> Reply:
        if asked.path.endswith(CHAT):
            self.times.append(time.monotonic())
        return super()._reply(asked)

    def seen(self) -> dict[str, Any]:
        """What the server saw, as JSON to be."""
        statuses = Counter(str(asked.status) for asked in self.asked())
        cpu_s = time.process_time()
        return {
            "calls": len(self.times), "answered": statuses["200"], "refused": statuses["429"], "cpu_s": cpu_s,
            "peak": self.peak_in_flight, "span_s": self.times[-1] - self.times[0] if self.times else 0.0,
        }  # fmt: skip


@dataclass
class Server:
    """A context: the server's process. `seen` is filled at its end."""

    latency_s: float = 0.0
    rate_per_s: float | None = None
    seen: dict[str, Any] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> "Server":
        rate = ["--rate", str(self.rate_per_s)] if self.rate_per_s else []
        command = [PYTHON, "-m", "benchmarks.server", "--latency", str(self.latency_s), *rate]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.env = {"OPENAI_BASE_URL": self._process.stdout.readline().strip(), "OPENAI_API_KEY": "sk-none-needed"}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.seen.update(json.loads(self._process.communicate()[0]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--rate", type=float)
    options = parser.parse_args()
    with TimedServer(latency_s=options.latency, rate_per_s=options.rate, answers={MODEL: first_three_lines}) as api:
        print(api.base_url, flush=True)
        sys.stdin.read()
        print(json.dumps(api.seen()))


if __name__ == "__main__":
    main()
