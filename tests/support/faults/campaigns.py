"""Every kind of fault by its name, and how to run a campaign of it."""

import random
from collections.abc import Callable
from pathlib import Path

from tests.support.faults import api, disks, jobs, processes
from tests.support.faults.findings import Findings
from tests.support.faults.scene import Scene, Undisturbed, scene

IN_SCENES: dict[str, Callable[[Scene, random.Random], None]] = {**processes.STRIKES, **disks.STRIKES, **api.STRIKES}
KINDS = (*IN_SCENES, *jobs.STRIKES)


def campaign(kind: str, number: int, seed: int, root: Path, wanted: Undisturbed) -> Findings:
    """Run the campaign of a number; whatever goes wrong in it is among its findings."""
    rng = random.Random(f"{seed} {kind} {number}")
    if kind in jobs.STRIKES:
        root.mkdir(parents=True)
        found = Findings()
        try:
            jobs.STRIKES[kind](root, rng, found)
        except Exception as error:  # Whatever it is.
            found.report(repr(error))
        return found
    with scene(root, wanted) as here:
        try:
            IN_SCENES[kind](here, rng)
        except Exception as error:  # Whatever it is.
            here.findings.report(repr(error))
        return here.findings
