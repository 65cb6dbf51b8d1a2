"""Runs pytest in processes of their own that are forked from one where the slow imports are done: as separate as a
subprocess, some five times as fast to start. Its workers and its recorder are forked likewise; `Project.run_in_new_interpreter`
starts all of them from nothing."""

import gc
import multiprocessing
import os
import signal
import sys
import tempfile
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from tests.support.children import forget, fork_children

REPOSITORY = Path(__file__).parents[2]
SLOW_IMPORTS = [
    "pytest",
    "openai",
    "openai.types.chat",
    "vcr.cassette",
    "rouge_score.rouge_scorer",
    "numpy",
    "msgspec",
    "tomllib",
    "aiohttp",
    "code",
    "pdb",
    "syrupy",
    "syrupy.extensions.json",
    "xdist.dsession",
    "xdist.looponfail",
    "xdist.newhooks",
    "xdist.plugin",
    "xdist.remote",
    "xdist.workermanage",
    "execnet.gateway_bootstrap",
    "platformdirs.pytest_plugin",
    "pytest_cov.plugin",
    "pytest_split.plugin",
    "_pytest._argcomplete",
    "_pytest.faulthandler",
    "_pytest.helpconfig",
    "_pytest.junitxml",
    "_pytest.pastebin",
    "_pytest.setuponly",
    "_pytest.setupplan",
    "_pytest.stepwise",
    "_pytest.threadexception",
    "_pytest.tracemalloc",
    "_pytest.unittest",
    "_pytest.unraisableexception",
    "_pytest.warnings",
    "evaltape.against.other_side",
    "evaltape.entry",
    "evaltape.plugin",
    "evaltape.hooks.controller",
    "evaltape.hooks.listing",
    "evaltape.hooks.xdist",
    "evaltape.scoring.correction",
    "evaltape.scoring.ground",
    "evaltape.metrics.functions",
    "evaltape.mutation.model_mutants",
    "evaltape.recorder.boot",
    "evaltape.recorder.main",
    "evaltape.recorder.plan",
    "evaltape.recorder.process",
    "evaltape.recorder.api.transport",
    "evaltape.recording.verdicts",
    "evaltape.reporting.decidable",
    "evaltape.reporting.estimate",
    "evaltape.reporting.html",
    "evaltape.reporting.markdown",
    "evaltape.samples.sources",
]
TEMPORARY = Path(tempfile.gettempdir()) / f"evaltape-runs-of-{os.getuid()}"
"""Where runs have their temporary folders: among those of the tests themselves they would clear up, which takes seconds."""
STARTING = ("-n", "--numprocesses", "--record")
"""The options of runs that start workers or a recorder; where they stand elsewhere than in the command, these start from nothing."""
_CONTEXT = multiprocessing.get_context("forkserver")
KNOWN = ["tests.support.known_packages", "tests.support.certificates", "tests.support.known_modules"]
_CONTEXT.set_forkserver_preload([*SLOW_IMPORTS, *KNOWN])


def start_forked(
    args: list[str], folder: Path, environment: dict[str, str], output: Path, forks: bool = True
) -> ForkServerProcess:
    """Start `pytest` in `folder`, as the leader of a process group; what it prints goes to `output`.

    Its workers and its recorder are forked, or else started from nothing.
    """
    TEMPORARY.mkdir(mode=0o700, exist_ok=True)
    process = _CONTEXT.Process(target=_pytest, args=(args, str(folder), environment, str(output), forks), daemon=False)
    process.start()
    return process


def _pytest(args: list[str], folder: str, environment: dict[str, str], output: str, forks: bool) -> None:
    os.setsid()
    # What is there already will not become garbage: looking through it would take a quarter of a short run.
    gc.freeze()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # Ignored where the tests themselves outlive their terminal.
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(file, stream)
    sys.stdout, sys.stderr = (open(stream, "w", buffering=1, closefd=False) for stream in (1, 2))  # noqa: SIM115
    os.environ.clear()
    os.environ.update({"PYTEST_DEBUG_TEMPROOT": str(TEMPORARY), **environment})
    # The run's own processes, too: here the default would be this process's way, which imports everything anew.
    multiprocessing.set_start_method("fork", force=True)
    os.chdir(folder)
    named = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = named + [path for path in sys.path if Path(path or ".").resolve() != REPOSITORY]
    forget("tests", "conftest")
    _write_bytecode(Path(folder))
    # Plugins among the slow imports are harmless; in a run of a user's they would not be imported yet. Hypothesis' own
    # plugin is slow to import, and a user of the harness has none.
    imported = "ignore:Module already imported:pytest.PytestAssertRewriteWarning"
    if forks and any(word.startswith(STARTING) for word in args):
        fork_children()
    sys.argv = ["pytest", "-p", "no:hypothesispytest", "-W", imported, *args]
    import pytest

    code = pytest.console_main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _write_bytecode(folder: Path) -> None:
    """Keep compiled tests from run to run, as a user's Python does, except those of sources that were written since.

    Python takes a source for unchanged if its second and its size are; a test changes one twice within a second.
    """
    sys.dont_write_bytecode = False
    for compiled in folder.glob("**/__pycache__/*.pyc"):
        source = compiled.parents[1] / f"{compiled.name.split('.')[0]}.py"
        if not source.exists() or source.stat().st_mtime > compiled.stat().st_mtime:
            compiled.unlink()
