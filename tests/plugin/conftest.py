"""The fixture of these tests."""

from pathlib import Path

import pytest

from tests.support.repository import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository without a suite."""
    return Repository(tmp_path / "repository")
