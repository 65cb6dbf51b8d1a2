"""Fine-tuning jobs whose answers are lost, wrong or late, and sessions killed around one. A job is paid once."""

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from evaltape.recording import cassettes

from tests.support.faults.findings import Findings
from tests.support.faults.processes import send_to_group
from tests.support.faults.scene import DEADLINE_S
from tests.support.job_world import KINDS, LAG_S, Fault, Session, Stage, World
from tests.support.server import ApiServer
from tests.support.tuning import TuningProject

WORLDS, FAULTS = 6, 4
"""Of a campaign, and of each of its sessions."""
REQUESTS = ("upload", "order", "list", "list", "poll", "poll", "poll")
ANSWERS = 12
"""Of the two models of a project with a job."""
FILES = ANSWERS + 1


def answers_lost(root: Path, rng: random.Random, found: Findings) -> None:
    """Drive jobs whose upload, order, listings and polls meet faults, and then record without any."""
    with ApiServer() as api:
        stage = Stage(TuningProject(root / "project", api).jobs().prepare("tuned"), api, root)
        for _ in range(WORLDS):
            world = _world(rng)
            try:
                stage.play(world)
            except TimeoutError:
                found.hung += 1
                found.report(f"hung: {world}")
            except AssertionError as error:
                found.beyond += "trained or will" in str(error)
                found.report(f"{error}: {world}")
        found.faults = sum(stage.tally.faults.values())
        found.sessions = stage.tally.sessions
        for path in root.glob("world-*/**/*.yaml"):
            found.corrupt += not cassettes.read(path)


def _world(rng: random.Random) -> World:
    numbers = {"upload": 1, "order": 1, "list": 4, "poll": 5}
    calls = [rng.choice(REQUESTS) for _ in range(FAULTS)]
    faults = tuple(Fault(call, rng.randrange(numbers[call]), rng.choice(sorted(KINDS))) for call in calls)
    lag_s = rng.choice((0.0, LAG_S))
    return World(((Session(0, faults=faults),),), keeps_metadata=rng.random() < 0.7, lag_s=lag_s)


def session_killed(root: Path, rng: random.Random, found: Findings) -> None:
    """Kill a session before the upload, while the job trains, or after its end; then record what is missing."""
    with ApiServer(latency_s=0.05) as api:
        tuning = TuningProject(root / "project", api)
        api.tuning.step_s = 0.3
        running = tuning.start("evals", "--record", "--snapshot-update", rng.choice(("-p no:xdist", "-n 0", "-n 2")))
        found.sessions = 1
        time.sleep(rng.uniform(0.2, 4.0))
        found.faults = int(send_to_group(running, signal.SIGKILL))
        running.process.join()
        _whole(tuning, found)
        try:
            run = tuning.start("evals", "--record-missing", "--snapshot-update", "-p no:xdist").wait(DEADLINE_S)
        except AssertionError as error:
            found.hung += 1
            found.report(f"hung: {error}")
            return
        if run.exit_code != 0:
            found.report(f"exit code {run.exit_code}: {run.output}")
        _count(tuning, found)


def _count(tuning: TuningProject, found: Findings) -> None:
    """Count what came of a killed session. All of its calls may have been in flight: they are fewer than may be."""
    found.lost += FILES - _whole(tuning, found)
    found.again += tuning.api.answered - ANSWERS
    found.beyond += tuning.uploads - 1 + len(tuning.job_ids) - 1
    if (tuning.uploads, len(tuning.job_ids)) != (1, 1):
        found.report(f"{tuning.uploads} uploads, jobs {tuning.job_ids}")


def _whole(tuning: TuningProject, found: Findings) -> int:
    """How many files are recorded; counts those that aren't whole."""
    paths = list(tuning.cassettes.glob("*/*.yaml"))
    for path in paths:
        try:
            assert cassettes.read(path)
        except Exception as error:  # Whatever it is.
            found.corrupt += 1
            found.report(f"{path.name}: {error!r}")
    return len(paths)


STRIKES: dict[str, Callable[[Path, random.Random, Findings], None]] = {
    "a job's upload, order, listing or poll: lost, refused, late, wrong": answers_lost,
    "SIGKILL around a fine-tuning job": session_killed,
}
