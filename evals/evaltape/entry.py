"""The module that pytest loads first: the ini keys, and the plugin itself only where a suite is configured.

In a session without a suite nothing else of Evaltape exists: no option, fixture, mark or hook, and no slow import.
"""

import gc
import os
import shlex
from typing import Any

import pytest

PLUGIN = "evaltape.plugin"
INI_KEYS = {
    "eval_suite": ("the suite files, one a line; globs allowed", "linelist"),
    "eval_cassettes": ("folder of the recordings, relative to rootdir (default: cassettes)", "string"),
    "eval_snapshots": ("folder of the accepted scores, relative to rootdir (default: beside the tests)", "string"),
    "eval_pack": ("number of samples from which a model's calls share a single cassette (default: 1000)", "string"),
    "eval_batch_wait": ("how long --batch waits for its answers, as 90 s, 30 min or 12 h (default: 1 h)", "string"),
    "eval_timeout_s": ("seconds that an API call may take before it is tried again (default: 180)", "string"),
}


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the ini keys; load the plugin if a suite is configured."""
    for key, (text, kind) in INI_KEYS.items():
        parser.addini(key, text, type=kind)  # type: ignore[arg-type]
    config: Any = pluginmanager.getplugin("pytestconfig")
    if not pluginmanager.is_blocked("evaltape") and (config.getini("eval_suite") or names_a_suite(config)):
        was_enabled = gc.isenabled()
        gc.disable()  # It would find next to nothing, and take a fiftieth of a replay's time.
        try:
            pluginmanager.import_plugin(PLUGIN)
        finally:
            if was_enabled:
                gc.enable()


def names_a_suite(config: Any) -> bool:
    """Return whether `--suite` is given: on the command line, in PYTEST_ADDOPTS, in ini addopts, or to xdist's controller."""
    if getattr(config.option, "suite", None):  # An xdist worker gets the controller's options.
        return True
    words = [*config.invocation_params.args, *shlex.split(os.environ.get("PYTEST_ADDOPTS", "")), *config.getini("addopts")]
    return any(str(word) == "--suite" or str(word).startswith("--suite=") for word in words)
