"""The score table at the end of a run, right in 80 columns and without colour."""

from typing import TYPE_CHECKING

import pytest

from evals.harness.scores import ModelScores
from evals.harness.statistics import intervals

if TYPE_CHECKING:
    from evals.harness.session import EvalSession


def print_summary(reporter: pytest.TerminalReporter, session: "EvalSession") -> None:
    """Print what the session found out, if it looked at any prediction."""
    if not session.evidence.predictions:
        return
    reporter.section(f"scores: {session.suite.name} ({session.settings.mode})")
    for model in session.suite.models.values():
        found = session.evidence.of_model(session.suite, session.samples, model)
        for metric, i in found.intervals.items():
            reporter.write_line(f"{model.key} {metric} {i.mean:.4f} [{i.low:.4f} {i.high:.4f}] {session.evidence.gates.get((model.key, metric))}")
