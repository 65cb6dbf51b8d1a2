"""Whatever happens to requests, sessions and listings: one paid job, a usable recording or a clear message, no hang."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings

from tests.support.job_world import LAG_S, Fault, Session, Stage, World, worlds
from tests.support.server import ApiServer
from tests.support.tuning import TuningProject


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with tempfile.TemporaryDirectory() as name, ApiServer() as api:
        project = TuningProject(Path(name) / "project", api)
        yield Stage(project.jobs().prepare("tuned"), api, Path(name))


LOST, LATE, TWICE = (Fault("order", 0, kind) for kind in ("lost", "late", "twice"))
PAIR = (Session(0, faults=(LATE,)), Session(1, faults=(LATE,)))


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(world=worlds)
@example(World((PAIR,)))
@example(World((PAIR,), lag_s=LAG_S))
@example(World((PAIR,), keeps_metadata=False, filters="ignored", lag_s=LAG_S))
@example(World(((Session(0, faults=(LOST,)), Session(1, faults=(LOST,))),)))
@example(World(((Session(0), Session(1, killed_at=5)),)))
@example(World(((Session(0, faults=(TWICE,)),),)))
@example(World(((Session(0, faults=(LOST,)),), (Session(1),)), keeps_metadata=False, filters="refused"))
@example(World(((Session(0, killed_at=5),), (Session(0, "retrain"),), (Session(0, "missing"),)), lag_s=float("inf")))
@example(World((PAIR,), shape="azure"))
@example(World((PAIR,), shape="nebius"))
@example(World((PAIR,), shape="portkey"))
@example(World(((Session(0, faults=(Fault("order", 0, "500"),)),), (Session(1),)), shape="litellm"))
@example(World(((Session(0, killed_at=6),), (Session(1),), (Session(0, "retrain"),)), shape="nameless"))
@example(World(((Session(0, faults=(LOST,)),), (Session(0, "missing"),)), shape="zhipu"))
@example(World((PAIR,), shape="bedrock", lag_s=LAG_S))
def test_no_second_job_is_paid_and_every_session_ends_in_a_known_state(stage: Stage, world: World) -> None:
    stage.play(world)
