"""Start: what the installed plugin adds to pytest without a suite and with the default one, and what a replay imports."""

import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.project import ROOT, project
from benchmarks.runner import PYTHON, Measured, by_median, run
from benchmarks.server import Server
from benchmarks.table import Row, show

TIMES, MANY_TIMES = 5, 15
WITHOUT = ("-p", "no:evaltape.entry")
"""The plugin isn't even imported."""
OWN_IMPORTS = """
import gc, importlib, sys, time
gc.disable()
for name in {others}:
    try:
        importlib.import_module(name)
    except BaseException:  # A test's module, or one that is no module by itself.
        pass
began = time.process_time()
for name in {own}:
    importlib.import_module(name)
print(time.process_time() - began)
"""
HEAVY = ("datasets", "torch", "openai", "vcr", "pandas", "pyarrow")


def rows() -> Iterator[Row]:
    yield _without_suite()
    yield _with_suite()
    yield _imports()
    yield _own_imports()


def _without_suite() -> Row:
    """Compare pytest with and without the plugin, where no suite is configured."""
    command = [PYTHON, "-m", "pytest", "-q"]
    with TemporaryDirectory() as empty:
        runs = [[run([*command, *more], Path(empty), code=5) for more in ((), WITHOUT)] for _ in range(MANY_TIMES)]
    ours_s, bare_s = (by_median(list(of_way)).wall_s for of_way in zip(*runs, strict=True))
    # Both runs of a pair meet about the same noise, so the median of their differences is less noisy than that of the runs.
    more_ms = 1e3 * median(ours.wall_s - bare.wall_s for ours, bare in runs)
    what = "`pytest` in an empty folder, with the plugin installed and no suite"
    return Row(what, f"{ours_s:.2f} s", f"bare: {bare_s:.2f} s", "", f"{more_ms:+.0f} ms", "<= +50 ms", more_ms <= 50)


def _with_suite() -> Row:
    found: dict[str, list[Measured]] = {"bare": [], "ours": []}
    with TemporaryDirectory() as empty:
        for _ in range(TIMES):
            found["bare"].append(run([PYTHON, "-m", "pytest", "-q", *WITHOUT], Path(empty), code=5))
            found["ours"].append(run([PYTHON, "-m", "pytest", "evals", "--collect-only", "-q"], ROOT))
    bare_s, ours_s = (by_median(runs).wall_s for runs in found.values())
    more_s = ours_s - bare_s
    what = "`pytest evals --collect-only -q` on the default suite"
    return Row(what, f"{ours_s:.2f} s", f"bare: {bare_s:.2f} s", "", f"{more_s:+.2f} s", "<= +1 s", more_s <= 1)


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


def _own_imports() -> Row:
    """Measure the CPU that the plugin's own modules take to import, once everything that isn't ours is there."""
    command = [PYTHON, "-X", "importtime", "-m", "pytest", "evals", "-q", "-p", "no:xdist", "-p", "no:cacheprovider"]
    names = re.findall(r"^import time:.*\| +([\w.]+)$", run(command, ROOT).output, re.MULTILINE)
    own = [name for name in names if name.split(".")[0] == "evaltape"]
    code = OWN_IMPORTS.format(others=[name for name in names if name.split(".")[0] != "evaltape"], own=own)
    times = [
        float(run([PYTHON, "-c", code], ROOT, {"PYTHONPATH": str(ROOT / "evals")}).output.split()[-1]) for _ in range(TIMES)
    ]
    ms = 1e3 * median(times)
    what = f"a replay of the default suite imports {len(own)} modules of the plugin: CPU"
    return Row(what, f"{ms:.0f} ms", "", "", "", "<= 60 ms", ms <= 60)


if __name__ == "__main__":
    show("start", rows())
