"""Start: collecting the default suite beside bare pytest on an empty folder, and what a replay imports."""

import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.project import ROOT, project
from benchmarks.runner import PYTHON, Measured, by_median, run
from benchmarks.server import Server
from benchmarks.table import Row, show

TIMES = 5
HEAVY = ("datasets", "torch", "openai", "vcr", "pandas", "pyarrow")


def rows() -> Iterator[Row]:
    found: dict[str, list[Measured]] = {"bare": [], "ours": []}
    with TemporaryDirectory() as empty:
        for _ in range(TIMES):
            found["bare"].append(run([PYTHON, "-m", "pytest", "-q"], Path(empty), code=5))
            found["ours"].append(run([PYTHON, "-m", "pytest", "evals", "--collect-only", "-q"], ROOT))
    bare_s, ours_s = (by_median(runs).wall_s for runs in found.values())
    more_s = ours_s - bare_s
    what = "`pytest evals --collect-only -q` on the default suite"
    told = f"{more_s:+.2f} s"
    yield Row(what, f"{ours_s:.2f} s", f"bare: {bare_s:.2f} s", "", told, "<= +1 s", more_s <= 1)
    yield _imports()


def _imports() -> Row:
    with project() as here:
        with Server() as server:
            run(here.record(20), here.folder, server.env)
        command = [PYTHON, "-X", "importtime", *here.pytest(20, "-s")[1:]]
        output = run(command, here.folder).output
    modules = {match[1] for match in re.finditer(r"^import time:.*\| +([\w.]+)$", output, re.MULTILINE)}
    heavy = [name for name in HEAVY if name in modules]
    what = f"a replay imports {len(modules)} modules; of {', '.join(HEAVY)}"
    return Row(what, ", ".join(heavy) or "none", "openai, vcr", "", "", "no datasets, torch, openai", not heavy)


if __name__ == "__main__":
    show("start", rows())
