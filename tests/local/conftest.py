"""One service for most tests, and one that asks for a key; what they start is forked."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI

from tests.support.local_forks import FORKS
from tests.support.local_service import MISSING, InProcess, Service, make_model


@pytest.fixture(scope="session", autouse=True)
def _forks() -> Iterator[None]:
    """Fork what is started, with one thread: a tiny model is no faster with two, and thirty times slower on a busy machine."""
    if not MISSING:
        import torch

        torch.set_num_threads(1)
        FORKS.start()
    yield
    FORKS.stop()


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model."""
    return make_model(tmp_path_factory.mktemp("model") / "tiny-1.5")


@pytest.fixture(scope="session")
def service(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running service."""
    running = Service(tiny_model, tmp_path_factory.mktemp("state"))
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="session")
def guarded(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """A service that asks for a key and takes small files only."""
    running = InProcess(tiny_model, tmp_path_factory.mktemp("guarded"), key="a secret", max_upload_mb=1, name="guarded")
    yield running
    running.stop()


@pytest.fixture
def client(service: Service) -> OpenAI:
    """The official client of the service."""
    return service.client()
