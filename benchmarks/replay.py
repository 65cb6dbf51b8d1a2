"""Replay of 200, 2,000 and 15,000 samples: whole processes, slope, memory, workers; and bytes per cassette."""

import json
from collections.abc import Iterator
from pathlib import Path

from evaltape.recording.cassettes import read

from benchmarks import others
from benchmarks.project import Project, project
from benchmarks.runner import PYTHON, Measured, by_median, run
from benchmarks.server import Server
from benchmarks.table import Row, show

IMPORTS = [PYTHON, "-c", "import pytest, openai, vcr, rouge_score"]
TIMES = 5
MOST_MB = 600
MOST_BYTES = 1.5 * 1024


def rows() -> Iterator[Row]:
    with project() as here:
        plain = {n: others.Plain(here, n) for n in (200, 2000)}
        for n in (200, 2000, 15_000):
            with Server() as server:
                run(here.record(n, "--concurrency", "64"), here.folder, server.env)
        for way in plain.values():
            with Server() as server:
                way.record(server)
        yield from _compared(here, plain)
        yield from _large(here)
        yield _bytes(here, plain[200])


def _compared(here: Project, plain: dict[int, others.Plain]) -> Iterator[Row]:
    found: dict[str, list[Measured]] = {}
    for _ in range(TIMES):
        found.setdefault("imports", []).append(run(IMPORTS, here.folder))
        for n, way in plain.items():
            found.setdefault(f"plain {n}", []).append(way.replay())
            found.setdefault(f"ours {n}", []).append(run(here.pytest(n), here.folder))
        found.setdefault("workers", []).append(run(here.pytest(2000, "-n", "2"), here.folder))
    found["plain workers"] = [plain[2000].replay("-n", "2")]
    wall = {name: by_median(runs).wall_s for name, runs in found.items()}
    cpu = {name: by_median(runs).cpu_s for name, runs in found.items()}
    most_s = 1.5 * wall["imports"] + 1.0
    yield Row(
        "replay 200, whole process", f"{wall['ours 200']:.2f} s", f"{wall['plain 200']:.2f} s",
        f"imports {wall['imports']:.2f} s", f"{wall['ours 200'] / most_s:.2f}",
        f"<= 1.5 x imports + 1 s = {most_s:.2f} s", wall["ours 200"] <= most_s,
    )  # fmt: skip
    ours, theirs = ((wall[f"{way} 2000"] - wall[f"{way} 200"]) / 1800 * 1e3 for way in ("ours", "plain"))
    cpu_ratio = (cpu["ours 2000"] - cpu["ours 200"]) / (cpu["plain 2000"] - cpu["plain 200"])
    yield Row(
        "replay, a further sample", f"{ours:.2f} ms", f"{theirs:.2f} ms", "an empty test: 1.1 ms",
        f"{ours / theirs:.2f} (CPU {cpu_ratio:.2f})", "<= 0.33", ours / theirs <= 1 / 3,
    )  # fmt: skip
    ratio = wall["workers"] / wall["ours 2000"]
    told = f"{wall['workers']:.1f} s, `-n 0` {wall['ours 2000']:.1f} s"
    beside = f"{wall['plain workers']:.1f} s, without {wall['plain 2000']:.1f} s"
    yield Row("replay 2,000 with `-n 2`", told, beside, "", f"{ratio:.2f}", "<= 1", ratio <= 1)


def _large(here: Project) -> Iterator[Row]:
    runs = {n: run(here.pytest(n), here.folder) for n in (2000, 15_000)}
    each = {n: measured.cpu_s / n * 1e3 for n, measured in runs.items()}
    largest = runs[15_000]
    told = f"{largest.wall_s:.1f} s, CPU {each[15_000]:.2f} ms a sample (2,000: {each[2000]:.2f} ms)"
    ratio = each[15_000] / each[2000]
    yield Row("replay 15,000", told, "not run: minutes", "", f"{ratio:.2f}", "linear: <= 1.1", ratio <= 1.1)
    fits = largest.peak_mb < MOST_MB
    yield Row("… memory", f"{largest.peak_mb:.0f} MB", "", "", "", f"< {MOST_MB} MB", fits)


def _bytes(here: Project, plain: others.Plain) -> Row:
    """What a cassette holds beyond the prompt and the answer, as JSON has them."""
    files = sorted((here.cassettes(200) / "bench").glob("*.yaml"))
    own = max(path.stat().st_size - _texts(path) for path in files)
    texts = sum(map(_texts, files))
    theirs = (plain.bytes_on_disk - texts) / len(files)
    told = f"at most {own:,} bytes"
    return Row("a cassette beyond its texts", told, f"{theirs:,.0f} bytes", "0", "", "<= 1.5 KB", own <= MOST_BYTES)


def _texts(path: Path) -> int:
    (exchange,) = read(path)
    texts = [turn["content"] for turn in exchange.asked["messages"]]
    texts.append(exchange.answered["choices"][0]["message"]["content"])
    return sum(len(json.dumps(text, ensure_ascii=False).encode()) for text in texts)


if __name__ == "__main__":
    show("replay", rows())
