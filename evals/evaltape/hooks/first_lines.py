"""The scores of each input's first lines, kept in pytest's cache from run to run.

Of many samples they are half of all ROUGE time, and they stand on samples, metrics and packages alone. `--cache-clear` forgets
them; with `-p no:cacheprovider` they are computed each time.
"""

import hashlib

import pytest

from evaltape.evaluation import Evaluation
from evaltape.workspace import Workspace

KEPT_FROM = 1_000
"""Fewer samples are scored in less time than a person notices."""
KEY = "evaltape/first-lines/"


def recall(config: pytest.Config, evaluation: Evaluation) -> None:
    """Take the scores that an earlier run has kept, where samples and metrics are the same."""
    for workspace in _many(config, evaluation):
        kept = config.cache.get(KEY + workspace.name, None)
        if isinstance(kept, dict) and kept.get("of") == _digest(workspace):
            for sample, row in zip(workspace.samples, kept["scores"], strict=True):
                scores = dict(zip(workspace.text_metrics, row, strict=True))
                evaluation.findings.leads[workspace.name, sample.id] = scores


def keep(config: pytest.Config, evaluation: Evaluation) -> None:
    """Keep the scores of suites whose samples all have them."""
    for workspace in _many(config, evaluation) if evaluation.findings.leads else ():
        rows = [evaluation.findings.leads.get((workspace.name, sample.id), {}) for sample in workspace.samples]
        if all(row.keys() == workspace.text_metrics.keys() for row in rows):
            scores = [[row[name] for name in workspace.text_metrics] for row in rows]
            config.cache.set(KEY + workspace.name, {"of": _digest(workspace), "scores": scores})


def _many(config: pytest.Config, evaluation: Evaluation) -> list[Workspace]:
    """Return the suites of many samples, but for those with a tokenizer of the user's, which may change."""
    if not hasattr(config, "cache"):
        return []
    many = [each for each in evaluation.workspaces.values() if len(each.samples) >= KEPT_FROM]
    return [each for each in many if not any(":" in str(spec.options.get("tokenizer")) for spec in each.suite.metrics.values())]


def _digest(workspace: Workspace) -> str:
    """Return the digest of everything that the scores depend on."""
    metrics = {name: metric.describe() for name, metric in workspace.text_metrics.items()}
    texts = [(sample.input, sample.references) for sample in workspace.samples]
    return hashlib.sha256(repr((metrics, texts)).encode("utf-8", "surrogatepass")).hexdigest()
