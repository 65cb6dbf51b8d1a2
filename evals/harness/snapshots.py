"""Accepted scores, by syrupy: `__snapshots__/<suite>/<model>.json` beside the tests."""

from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.data import SnapshotCollections
from syrupy.extensions.json import JSONSnapshotExtension
from syrupy.location import PyTestLocation


def accepted_scores(request: pytest.FixtureRequest, suite: str, model: str) -> SnapshotAssertion:
    """What the scores of a model are compared with.

    It is made as syrupy's `snapshot` fixture makes its own, but never with another extension: that one would look for
    snapshots in its format, and offer to delete those of other suites and models as unused.
    """
    option: Any = request.config.option
    return SnapshotAssertion(
        update_snapshots=option.update_snapshots,
        update_new_snapshots_only=option.update_new_snapshots_only,
        extension_class=_extension(suite, model),
        test_location=PyTestLocation(request.node),
        session=request.config._syrupy,  # type: ignore[attr-defined]
    )


def _extension(suite: str, model: str) -> type[JSONSnapshotExtension]:
    class AcceptedScores(JSONSnapshotExtension):
        @classmethod
        def dirname(cls, *, test_location: Any) -> str:
            return str(Path(test_location.filepath).parent / "__snapshots__" / suite)

        @classmethod
        def get_snapshot_name(cls, *, test_location: Any, index: Any = 0) -> str:
            return model

        def discover_snapshots(self, **_: Any) -> SnapshotCollections:
            # Nothing is ever unused: a run sees one suite, and often one kind of model, out of many.
            return SnapshotCollections()

    return AcceptedScores
