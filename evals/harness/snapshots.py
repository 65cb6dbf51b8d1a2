"""Accepted scores: a syrupy extension that keeps `__snapshots__/<suite>/<model>.json` beside the tests."""

from pathlib import Path
from typing import Any

from syrupy.extensions.json import JSONSnapshotExtension


def accepted_scores(suite: str, model: str) -> type[JSONSnapshotExtension]:
    """The extension for one model of one suite."""

    class AcceptedScores(JSONSnapshotExtension):
        @classmethod
        def dirname(cls, *, test_location: Any) -> str:
            return str(Path(test_location.filepath).parent / "__snapshots__" / suite)

        @classmethod
        def get_snapshot_name(cls, *, test_location: Any, index: Any = 0) -> str:
            return model

    return AcceptedScores
