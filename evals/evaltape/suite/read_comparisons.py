"""Reads `[compare]`: bounds between two models."""

from collections.abc import Mapping

import msgspec

from evaltape.names import nearest
from evaltape.suite.definition import Comparison, Model
from evaltape.suite.file.place import Place
from evaltape.suite.file.tables import CompareTable
from evaltape.suite.read_endpoint import check_key
from evaltape.suite.read_metrics import Scored, check_bounds


def read_comparisons(
    tables: Mapping[str, CompareTable], suite: str, models: Mapping[str, Model], scored: Scored, place: Place
) -> dict[str, Comparison]:
    """Return the suite's comparisons by name."""
    for key, table in tables.items():
        _check(table, place.inside(key), models, scored)
    return {
        key: Comparison(name=check_key(place, key), suite=suite, **msgspec.structs.asdict(table))
        for key, table in tables.items()
    }


def _check(table: CompareTable, place: Place, models: Mapping[str, Model], scored: Scored) -> None:
    for side, key in (("baseline", table.baseline), ("candidate", table.candidate)):
        if key not in models:
            raise place.error(side, f"= {key!r}: no such model.{nearest(key, models)} Models: {', '.join(models)}")
    if table.baseline == table.candidate:
        raise place.error("candidate", f"= {table.candidate!r}: it is the baseline, too; compare two models")
    check_bounds(table.min_gain, "min_gain", place, scored)
    check_bounds(table.max_drop, "max_drop", place, scored)
    if not table.min_gain and not table.max_drop:
        raise place.error("min_gain", "is empty; it or max_drop takes a bound per metric, e.g. { rougeL = 0.05 }")
    both = [metric for metric in table.min_gain if metric in table.max_drop]
    if both:
        raise place.error("max_drop", f"and min_gain both bound {both[0]}; keep one")
