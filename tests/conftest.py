"""Fixtures of the harness's own tests: a server, a user's project, and the ways to run it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.support.installed import Installed, install
from tests.support.once import made_once
from tests.support.project import Project
from tests.support.server import ApiServer
from tests.support.shell import Shell
from tests.support.tuning import TuningProject

settings.register_profile("evaltape", settings.get_profile("ci") if os.environ.get("CI") else None, deadline=None)
settings.load_profile("evaltape")

MODES = {"no xdist": "-p no:xdist", "n2": "-n 2"}
EVERY_MODE = {**MODES, "n0": "-n 0"}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Run the tests of a file in one worker, with what they share; those of the local service in one that imports PyTorch."""
    if config.getvalue("dist") != "load":
        return None
    config.option.loadscopereorder = False  # Files of few tests aren't the shortest.
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "tests/local" if nodeid.startswith("tests/local/") else super()._split_scope(nodeid)

    return ByFile(config, log)


@pytest.fixture
def api() -> Iterator[ApiServer]:
    """A running server."""
    with ApiServer() as server:
        yield server


@pytest.fixture
def project(tmp_path: Path, api: ApiServer) -> Project:
    """A project that nothing is recorded in yet."""
    return Project(tmp_path / "project", api.base_url)


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was recorded, and its scores accepted, once for all tests. Not to be written to."""

    def record(folder: Path) -> None:
        with ApiServer() as server:
            Project(folder / "project", server.base_url).record("-p no:xdist")

    return made_once(tmp_path_factory, "recorded", record) / "project"


@pytest.fixture
def recorded(project: Project, recording: Path) -> Project:
    """A project with a recording of all six samples and accepted scores."""
    return project.take(recording)


@pytest.fixture
def tuning(tmp_path: Path, api: ApiServer) -> Iterator[TuningProject]:
    """A project with a fine-tuning job that nothing is recorded in yet."""
    project = TuningProject(tmp_path / "project", api)
    yield project
    project.end()


@pytest.fixture(scope="session")
def tuned_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose models and job were recorded, once for all tests. Not to be written to."""

    def record(folder: Path) -> None:
        with ApiServer() as server:
            project = TuningProject(folder / "project", server)
            assert project.run("evals", "--record", "--snapshot-update", "-p no:xdist").exit_code == 0

    return made_once(tmp_path_factory, "tuned", record) / "project"


@pytest.fixture
def tuned(tuning: TuningProject, tuned_recording: Path) -> TuningProject:
    """A project with a recording of both models and of the job."""
    tuning.take(tuned_recording)
    return tuning


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """An environment with the wheel, built and installed once. Not to be written to."""
    return Installed(made_once(tmp_path_factory, "installed", install) / "venv")


@pytest.fixture
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell that knows `pytest` and `evaltape`."""
    made = Shell(tmp_path_factory.mktemp("shell"))
    yield made
    made.close()


@pytest.fixture(params=MODES.values(), ids=MODES)
def workers(request: pytest.FixtureRequest) -> str:
    """Arguments for pytest: without xdist, and with two workers."""
    return str(request.param)


@pytest.fixture(params=EVERY_MODE.values(), ids=EVERY_MODE)
def any_workers(request: pytest.FixtureRequest) -> str:
    """Like `workers`, and with xdist in one process."""
    return str(request.param)
