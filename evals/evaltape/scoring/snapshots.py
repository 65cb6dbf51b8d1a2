"""Accepted scores, by syrupy: `__snapshots__/<suite>/<model>.json` beside the tests."""

from pathlib import Path
from typing import Any

from syrupy.extensions.json import JSONSnapshotExtension


def accepted_scores(suite: str, model: str) -> type[JSONSnapshotExtension]:
    """How syrupy keeps what the scores of a model are compared with, for its `snapshot.use_extension`."""

    class AcceptedScores(JSONSnapshotExtension):
        @classmethod
        def dirname(cls, *, test_location: Any) -> str:
            return str(Path(test_location.filepath).parent / "__snapshots__" / suite)

        @classmethod
        def get_snapshot_name(cls, *, test_location: Any, index: Any = 0) -> str:
            return model

    return AcceptedScores
