"""`--against` of 200 and 2,000 samples beside the replay of the same: unchanged, and with every answer changed."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.project import Project, project
from benchmarks.runner import interleaved, run
from benchmarks.server import Server
from benchmarks.table import Row, show

SIZES = (200, 2000)
TIMES = 3
MOST = 2.0
AUTHOR = ("-c", "user.name=bench", "-c", "user.email=bench@example.org", "-c", "commit.gpgsign=false")


def rows() -> Iterator[Row]:
    with project() as here:
        for n in SIZES:
            with Server() as server:
                run(here.record(n, "--concurrency", "64"), here.folder, server.env)
        _commit(here.folder)
        for n in SIZES:
            yield _row(here, n, "unchanged")
            _rewrite(here, n)
            yield _row(here, n, "every answer changed")


def _row(here: Project, n: int, what: str) -> Row:
    # Without the snapshot's test, which a changed answer fails.
    replay = [*here.pytest(n, "-p", "no:xdist"), "--deselect", "evals/test_baseline.py::test_scores"]
    alone, beside = interleaved(TIMES, replay, [*replay, "--against", "HEAD"], cwd=here.folder)
    wall, cpu = beside.wall_s / alone.wall_s, beside.cpu_s / alone.cpu_s
    told = f"{beside.wall_s:.2f} s, CPU {beside.cpu_s:.2f} s"
    return Row(
        f"`--against`, {n:,} samples, {what}", told, "", f"replay {alone.wall_s:.2f} s, CPU {alone.cpu_s:.2f} s",
        f"{wall:.2f} (CPU {cpu:.2f})", f"CPU <= {MOST:g}", cpu <= MOST,
    )  # fmt: skip


def _commit(folder: Path) -> None:
    (folder / ".gitignore").write_text("__pycache__/\n.pytest_cache/\n")
    for args in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "recorded"]):
        subprocess.run(["git", *AUTHOR, *args], cwd=folder, check=True)


def _rewrite(here: Project, n: int) -> None:
    for path in (here.cassettes(n) / "bench").glob("*.yaml"):
        text = path.read_text()
        changed = text.replace('"role": "assistant", "content": "', '"role": "assistant", "content": "So, ')
        assert changed != text
        path.write_text(changed)


if __name__ == "__main__":
    show("against", rows())
