"""Accepted scores, kept by syrupy: `__snapshots__/<suite>/<model>.scores` beside the tests, as JSON.

A run sees one suite of many, and perhaps no gate, so an accepted score that nobody looked at isn't unused. The files have
a suffix of their own, which syrupy's search for unused snapshots leaves out; snapshots of the user's are not touched by it.
"""

from pathlib import Path
from typing import Any

import pytest

from evaltape.scoring.scores import ModelScores

SUFFIX = "scores"


def leave_to_us(config: pytest.Config) -> None:
    """Keep accepted scores out of syrupy's search for unused snapshots."""
    config.option.ignore_file_extensions = [*(config.option.ignore_file_extensions or []), SUFFIX]


def accepted_scores(request: pytest.FixtureRequest, scores: ModelScores, folder: Path | None) -> Any:
    """Return syrupy's snapshot of a model's scores, in `folder` or beside the test file."""
    if not request.config.pluginmanager.hasplugin("syrupy"):
        pytest.fail("accepted scores are kept by syrupy, which -p no:syrupy has switched off", pytrace=False)
    from syrupy.extensions.json import JSONSnapshotExtension

    class AcceptedScores(JSONSnapshotExtension):
        file_extension = SUFFIX

        @classmethod
        def dirname(cls, *, test_location: Any) -> str:
            beside = Path(test_location.filepath).parent / cls.snapshot_dirname
            return str((folder or beside) / scores.model.suite)

        @classmethod
        def get_file_basename(cls, *, test_location: Any, index: Any) -> str:
            return scores.model.key

        @classmethod
        def matches_test_location(cls, *, test_location: Any, snapshot_location: str) -> bool:
            return True

    return request.getfixturevalue("snapshot").use_extension(AcceptedScores)
