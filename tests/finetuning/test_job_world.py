"""Whatever happens to requests, sessions and listings: one paid job, a usable recording or a clear message, no hang."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.support.job_world import Stage, World, worlds
from tests.support.server import ApiServer
from tests.support.tuning import TuningProject


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with tempfile.TemporaryDirectory() as name, ApiServer() as api:
        project = TuningProject(Path(name) / "project", api)
        yield Stage(project.jobs().prepare("tuned"), api, Path(name))


@settings(
    max_examples=int(__import__("os").environ.get("N", "25")), suppress_health_check=[HealthCheck.too_slow], deadline=None
)
@given(world=worlds)
def test_no_second_job_is_paid_and_every_session_ends_in_a_known_state(stage: Stage, world: World) -> None:
    stage.play(world)
