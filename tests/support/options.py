"""The settings that a command line makes, read within this process: as pytest reads it, and no test is run."""

import contextlib
from pathlib import Path

import pytest
from _pytest.config import get_config
from evaltape.options import read_settings
from evaltape.settings import Settings


def settings_of(folder: Path, *args: str) -> Settings:
    """Return the settings of `pytest ARGS` in a folder. Raises `UserError` as a run would report it."""
    with contextlib.chdir(folder):
        config = get_config(list(args))
        try:
            ignored = ("-p", "no:hypothesispytest", "-W", "ignore::pytest.PytestAssertRewriteWarning")
            config = config.pluginmanager.hook.pytest_cmdline_parse(pluginmanager=config.pluginmanager, args=[*ignored, *args])
            assert isinstance(config, pytest.Config)
            return read_settings(config)
        finally:
            config._ensure_unconfigure()
