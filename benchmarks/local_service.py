"""Answers per second of the local service, beside `transformers serve` on the same weights in the same run.

    python benchmarks/local_service.py --model SmolLM2-135M-Instruct.Q4_1.gguf

prints a Markdown table: each server asked for the same greedy summaries with 1, 8 and 16 requests in flight. A row ends
when its time is up (`--seconds`) and then says how many requests it got answered; both servers run alone, in turn.
"""

import argparse
import json
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openai import OpenAI

ROOT = Path(__file__).parents[1]
PROMPT = "Summarise this conversation in one or two sentences.\n\n{dialogue}"


@dataclass(frozen=True)
class Row:
    """What one server did with so many requests in flight."""

    server: str
    in_flight: int
    texts: dict[int, str]
    tokens: int
    wall_s: float
    latencies_s: list[float]

    def cells(self, alone: "Row | None") -> list[str]:
        answered = len(self.texts)
        cells = [self.server, str(self.in_flight), str(answered), f"{self.wall_s:.1f} s"]
        cells += [f"{answered / self.wall_s:.2f}", f"{self.tokens / self.wall_s:.1f}"]
        cells += [f"{statistics.median(self.latencies_s):.1f} s", self.agreement(alone)]
        return cells

    def agreement(self, alone: "Row | None") -> str:
        """How many texts are those given one by one, of the requests answered both times."""
        if alone is None or alone is self:
            return "-"
        both = self.texts.keys() & alone.texts.keys()
        return f"{sum(self.texts[number] == alone.texts[number] for number in both)} of {len(both)}"


def arguments() -> argparse.Namespace:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--model", required=True, help="a Hub id, a local folder or a .gguf file")
    made.add_argument("--dialogues", type=Path, default=ROOT / "evals/data/chats/validation.jsonl")
    made.add_argument("--requests", type=int, default=200)
    made.add_argument("--in-flight", default="1,8,16", help="comma-separated (default 1,8,16)")
    made.add_argument("--max-tokens", type=int, default=64)
    made.add_argument("--seconds", type=float, default=180, help="when a row ends, done or not (default 180)")
    made.add_argument("--state", type=Path, help="the service's state folder (default: a temporary one)")
    made.add_argument("--no-peer", action="store_true", help="leave `transformers serve` out")
    return made.parse_args()


def main() -> None:
    given = arguments()
    with tempfile.TemporaryDirectory() as scratch:
        state = given.state or Path(scratch) / "state"
        rows = list(measure("evaltape serve", given, local_service(given.model, state)))
        if not given.no_peer:
            rows += measure("transformers serve", given, transformers_serve(given.model, state, Path(scratch)))
    print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, {Path(given.model).name}, ", end="")
    print(f"{given.dialogues.name}, greedy, at most {given.max_tokens} tokens, {given.seconds:.0f} s a row at most:\n")
    print("| server | in flight | answered | wall | answers/s | tokens/s | median latency | same text as one by one |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in rows:
        alone = next((one for one in rows if one.server == row.server and one.in_flight == 1), None)
        print(f"| {' | '.join(row.cells(alone))} |")


def measure(server: str, given: argparse.Namespace, running: Any) -> Iterator[Row]:
    lines = given.dialogues.read_text(encoding="utf-8").splitlines()
    dialogues = [json.loads(line)["dialogue"] for line in lines if line.strip()]
    prompts = [PROMPT.format(dialogue=dialogues[number % len(dialogues)]) for number in range(given.requests)]
    with running as (base_url, model):
        client = OpenAI(base_url=base_url, api_key="none", max_retries=0, timeout=1200)
        ask(client, model, "Hello", 4)
        for in_flight in map(int, given.in_flight.split(",")):
            row = timed(server, client, model, prompts, in_flight, given)
            print(f"{server}, {in_flight} in flight: {len(row.texts)} in {row.wall_s:.1f} s", file=sys.stderr)
            yield row


def timed(server: str, client: OpenAI, model: str, prompts: list[str], in_flight: int, given: argparse.Namespace) -> Row:
    began = time.monotonic()
    answers: dict[int, tuple[str, int, float]] = {}

    def one(number: int) -> None:
        if time.monotonic() - began < given.seconds:
            answers[number] = ask(client, model, prompts[number], given.max_tokens)

    with ThreadPoolExecutor(in_flight) as pool:
        list(pool.map(one, range(len(prompts))))
    wall_s = time.monotonic() - began
    texts = {number: text for number, (text, _, _) in answers.items()}
    tokens = sum(count for _, count, _ in answers.values())
    return Row(server, in_flight, texts, tokens, wall_s, [latency_s for _, _, latency_s in answers.values()])


def ask(client: OpenAI, model: str, prompt: str, most: int) -> tuple[str, int, float]:
    began = time.monotonic()
    answer = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": prompt}], temperature=0, max_tokens=most
    )
    assert answer.usage is not None
    return answer.choices[0].message.content or "", answer.usage.completion_tokens, time.monotonic() - began


@contextmanager
def local_service(model: str, state: Path) -> Iterator[tuple[str, str]]:
    command = [sys.executable, "-m", "evaltape", "serve", "--model", model, "--name", "model", "--port", "0"]
    with process([*command, "--state", str(state)], stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        found = re.search(r"http://\S+", started.stdout.readline())
        assert found, "the service didn't start"
        yield found[0], "model"


@contextmanager
def transformers_serve(model: str, state: Path, scratch: Path) -> Iterator[tuple[str, str]]:
    from evaltape.local.model import find

    folder = str(find(model, state / "weights"))
    # It answers with an error where the Hub's cache folder isn't there.
    (scratch / "hf" / "hub").mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).parent / "transformers"
    environ = {"HF_HOME": str(scratch / "hf"), "HF_HUB_OFFLINE": "1"}
    command = [str(program), "serve", folder, "--host", "127.0.0.1", "--port", str(port), "--log-level", "error"]
    with process(command, environ) as started:
        wait_until_open(port, started)
        yield f"http://127.0.0.1:{port}/v1", folder


@contextmanager
def process(command: list[str], environ: dict[str, str] | None = None, **given: Any) -> Iterator[Any]:
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, **(environ or {})}, text=True, **given) as started:
        try:
            yield started
        finally:
            started.terminate()
            try:
                started.wait(timeout=10)
            except subprocess.TimeoutExpired:  # it goes on with requests nobody waits for
                started.kill()


def wait_until_open(port: int, started: Any, seconds: float = 300) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and started.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise SystemExit(f"{started.args[0]} didn't start")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
