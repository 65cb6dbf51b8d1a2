"""The wheel, built and installed once for all tests of the commands."""

import pytest

from tests.support.installed import Installed, install


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """An environment with the wheel. Not to be written to."""
    return install(tmp_path_factory.mktemp("installed"))
