"""Scores that are kept from run to run: accepted scores by syrupy, the scores of first lines by pytest's cache.

Accepted scores stand in `__snapshots__/<suite>/<model>.scores` beside the tests, as JSON. A run may see a single suite, or no
gate, so a score that it didn't compare isn't unused. The files have a suffix of their own, which syrupy's search for unused
snapshots leaves out; snapshots of the user's are not touched by it.

The first lines of each input are half of all ROUGE time of many samples, and their scores rest on samples, metrics and packages
alone. `--cache-clear` forgets them; with `-p no:cacheprovider` they are computed each time.
"""

import hashlib
import json
import math
import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from evaltape.errors import UserError
from evaltape.evaluation import Evaluation
from evaltape.files import refuse_unusable
from evaltape.findings import Compared
from evaltape.hooks.reports import ACCEPTED
from evaltape.names import shown
from evaltape.reporting.tables import accepted_cells, aligned
from evaltape.scoring.scores import ModelScores
from evaltape.suite.commands import Commands
from evaltape.suite.metric_tables import Rouge
from evaltape.text import counted
from evaltape.workspace import Workspace

# ---------------------------------------------------------------- accepted scores


MOST_ROWS = 5
"""With a heading and a command, pytest shows no more lines of an assertion unless it is asked for all."""
SUFFIX = "scores"
METRICS = "metrics"
"""The key of a snapshot that states how its scores were computed; a metric can't have its name."""
SCORES = "evaltape_scores"
"""The attribute of our snapshots that holds how the scores differ from them."""


def leave_to_us(config: pytest.Config) -> None:
    """Keep accepted scores out of syrupy's search for unused snapshots, if syrupy is loaded."""
    if hasattr(config.option, "ignore_file_extensions"):
        config.option.ignore_file_extensions = [*(config.option.ignore_file_extensions or []), SUFFIX]


def accepted_scores(request: pytest.FixtureRequest, scores: ModelScores, folder: Path | None, commands: Commands) -> Any:
    """Return syrupy's snapshot of a model's scores, in `folder` or beside the test file."""
    if not hasattr(request.config.option, "update_snapshots"):
        pytest.fail("accepted scores are kept by syrupy, which isn't loaded (-p no:syrupy?)", pytrace=False)
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

        def serialize(self, data: Any, **options: Any) -> Any:
            _refuse_no_scores(data, scores)
            stated = {**data, METRICS: scores.described} if isinstance(data, Mapping) else data
            return super().serialize(stated, **options)

        def matches(self, *, serialized_data: Any, snapshot_data: Any) -> bool:
            """Compare the numbers alone: how the file is written and by which package they were computed may differ."""
            accepted = _numbers(snapshot_data)
            return accepted is not None and accepted == _numbers(serialized_data)

    snapshot = request.getfixturevalue("snapshot").use_extension(AcceptedScores)
    path = Path(AcceptedScores.get_location(test_location=snapshot.test_location, index=0))
    values = _read(path, bool(request.config.getoption("update_snapshots")))
    before, now = values or {}, scores.accepted
    changes = {it: (before.get(it), now.get(it)) for it in {**now, **before} if before.get(it) != now.get(it)}
    request.node.stash[ACCEPTED] = compared = Compared(scores.model.suite, scores.model.key, changes, values is not None)
    setattr(snapshot, SCORES, (compared, scores.metrics, commands.accept([request.node.nodeid])))
    return snapshot


def explain(right: object) -> Iterator[str]:
    """Yield how scores differ from the accepted scores that they were compared with; nothing for other comparisons."""
    if SCORES not in getattr(right, "__dict__", {}):
        return
    compared, metrics, command = getattr(right, SCORES)
    rows = [(name, *accepted_cells(was, now, metrics.get(name))) for name, (was, now) in compared.changes.items()]
    changed = f"{counted(len(rows), 'accepted score')} of {compared.model} changed"
    yield f"{changed if compared.exists else f'0 scores of {compared.model} are accepted yet'}. Accept: {command}"
    yield from aligned([("", "accepted", "now", "change"), *rows[:MOST_ROWS]], "<>>>")
    if len(rows) > MOST_ROWS:
        yield f"  and {len(rows) - MOST_ROWS} more"


def _refuse_no_scores(data: Any, scores: ModelScores) -> None:
    """Fail a test that would compare, and with --snapshot-update accept, the scores of a model without any."""
    if not isinstance(data, Mapping):
        return
    unusable = [name for name, value in data.items() if isinstance(value, float) and not math.isfinite(value)]
    if unusable or not scores.intervals:
        what = f"{', '.join(unusable)} is no number" if unusable else "no sample was scored"
        why = f". {scores.failed_in_short}" if scores.failures else ""
        pytest.fail(f"0 scores to compare or accept: {scores.model.key}: {what}{why}", pytrace=False)


def _read(path: Path, is_update: bool) -> dict[str, float] | None:
    """Return the numbers in a file of accepted scores; None without a file. Fail a test with scores that can't be accepted."""
    nearest = next(place for place in (path, *path.parents) if place.exists())
    content = path.read_bytes() if path.is_file() else None
    values = None if content is None else _numbers(content)
    try:
        if content is not None:
            refuse_unusable(path, content)
        if is_update and (path.is_dir() or not os.access(nearest, os.W_OK)):
            raise UserError(f"0 scores accepted: {shown(path)} can't be written")
        if content is not None and values is None and not is_update:
            restore = f"git checkout -- {shlex.quote(shown(path))}"
            raise UserError(f"{shown(path)}: holds no accepted scores. Restore it: {restore}")
    except UserError as problem:
        pytest.fail(str(problem), pytrace=False)
    return values


def _numbers(text: str | bytes) -> dict[str, float] | None:
    """Return the counts and scores of a snapshot; None if it is no snapshot."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict):
        return None
    return {name: value for name, value in values.items() if isinstance(value, int | float) and math.isfinite(value)}


# ---------------------------------------------------------------- first lines


KEPT_FROM = 1_000
"""Fewer samples are scored in less time than a person notices."""
KEY = "evaltape/first-lines/"
RECALLED = pytest.StashKey[set[str]]()
"""The suites whose scores an earlier run has kept: they aren't written again."""


def recall(config: pytest.Config, evaluation: Evaluation) -> None:
    """Take the scores that an earlier run has kept, where samples and metrics are the same."""
    for workspace in _many(config, evaluation):
        kept = config.cache.get(KEY + workspace.name, None)
        if isinstance(kept, dict) and kept.get("of") == _digest(workspace):
            for sample, row in zip(workspace.samples, kept["scores"], strict=True):
                scores = dict(zip(workspace.text_metrics, row, strict=True))
                evaluation.findings.leads[workspace.name, sample.id] = scores
            config.stash.setdefault(RECALLED, set()).add(workspace.name)


def keep(config: pytest.Config, evaluation: Evaluation) -> None:
    """Keep the scores of suites where all samples have them."""
    for workspace in _many(config, evaluation) if evaluation.findings.leads else ():
        if workspace.name in config.stash.get(RECALLED, ()):
            continue
        rows = [evaluation.findings.leads.get((workspace.name, sample.id), {}) for sample in workspace.samples]
        if all(row.keys() == workspace.text_metrics.keys() for row in rows):
            scores = [[row[name] for name in workspace.text_metrics] for row in rows]
            config.cache.set(KEY + workspace.name, {"of": _digest(workspace), "scores": scores})


def _many(config: pytest.Config, evaluation: Evaluation) -> list[Workspace]:
    """Return the suites of many samples, without a tokenizer of the user's, which may change."""
    if not hasattr(config, "cache"):
        return []
    many = [each for each in evaluation.workspaces.values() if len(each.samples) >= KEPT_FROM]
    return [
        each for each in many if not any(isinstance(it, Rouge) and ":" in it.tokenizer for it in each.suite.metrics.values())
    ]


def _digest(workspace: Workspace) -> str:
    """Return the digest of everything that the scores depend on."""
    metrics = {name: metric.describe() for name, metric in workspace.text_metrics.items()}
    texts = [(sample.input, sample.references) for sample in workspace.samples]
    return hashlib.sha256(repr((metrics, texts)).encode("utf-8", "surrogatepass")).hexdigest()
