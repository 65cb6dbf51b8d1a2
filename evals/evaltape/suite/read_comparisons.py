"""Reads `[compare]`, `[against]` and `[mutants]`: what is asserted beyond single models."""

from collections.abc import Mapping

from evaltape.names import nearest
from evaltape.suite.definition import Against, Comparison, Model, Mutants
from evaltape.suite.read_endpoint import check_key
from evaltape.suite.read_metrics import Scored, read_bounds
from evaltape.suite.table import Table


def read_comparisons(suite: Table, name: str, models: Mapping[str, Model], scored: Scored) -> dict[str, Comparison]:
    """Return the suite's comparisons by name."""
    tables = suite.tables("compare")
    return {key: _comparison(suite, table, key, name, models, scored) for key, table in tables.items()}


def read_against(suite: Table, scored: Scored) -> Against | None:
    """Return what is asserted against earlier recordings, if the suite has it."""
    table = suite.table("against")
    return None if table is None else Against(read_bounds(table, "max_drop", scored))


def read_mutants(suite: Table) -> Mutants | None:
    """Return which damages are tried, if the suite names them."""
    table = suite.table("mutants")
    return None if table is None else Mutants(table.take("operators"), table.take("noticed_at"))


def _comparison(suite: Table, table: Table, key: str, name: str, models: Mapping[str, Model], scored: Scored) -> Comparison:
    baseline, candidate = (_side(table, side, models) for side in ("baseline", "candidate"))
    if baseline == candidate:
        raise table.error("candidate", f"= {candidate!r}: it is the baseline, too; compare two models")
    gains, drops = read_bounds(table, "min_gain", scored), read_bounds(table, "max_drop", scored)
    if not gains and not drops:
        raise table.error("min_gain", "is empty; it or max_drop takes a bound per metric, e.g. { rougeL = 0.05 }")
    both = [metric for metric in gains if metric in drops]
    if both:
        raise table.error("max_drop", f"and min_gain both bound {both[0]}; keep one")
    return Comparison(
        name=check_key(suite, "compare", key),
        suite=name,
        baseline=baseline,
        candidate=candidate,
        min_gain=gains,
        max_drop=drops,
        confidence=table.take("confidence"),
        inconclusive=table.take("inconclusive"),
    )


def _side(table: Table, side: str, models: Mapping[str, Model]) -> str:
    key: str = table.take(side)
    if key not in models:
        raise table.error(side, f"= {key!r}: no such model.{nearest(key, models)} Models: {', '.join(models)}")
    return key
