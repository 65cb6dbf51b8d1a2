"""A command line's settings and workspace, made within this process: as pytest reads them, and no test is run."""

import contextlib
from pathlib import Path

import pytest
from _pytest.config import get_config
from evaltape.options import read_settings
from evaltape.reporting.estimate import estimate
from evaltape.settings import Settings
from evaltape.suite.reader import read_suites
from evaltape.workspace import Workspace

from tests.support.project import Project


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


def workspace_of(project: Project, *args: str) -> Workspace:
    """Return the workspace of the one suite that `pytest ARGS` in a project opens. Raises `UserError` likewise."""
    settings = settings_of(project.root, *args)
    with contextlib.chdir(project.root):
        (suite,) = read_suites(settings.suites)
        return Workspace(suite, settings)


def estimate_of(project: Project, *args: str) -> list[str]:
    """Return the lines of `--estimate` on every test of a project's one suite."""
    workspace = workspace_of(project, "evals", "--estimate", *args)
    with contextlib.chdir(project.root):
        return list(estimate(workspace, dict.fromkeys(workspace.suite.models, workspace.samples)))


def failures_of(project: Project, model: str = "small") -> dict[str, str]:
    """Return by sample why it can't be replayed, as its test says it."""
    workspace = workspace_of(project, "evals", "-m", "baseline")
    with contextlib.chdir(project.root):
        under_test = workspace.suite.models[model]
        found = {sample.id: workspace.recorded(under_test, sample).failure for sample in workspace.samples}
    return {sample: str(failure) for sample, failure in found.items() if failure is not None}
