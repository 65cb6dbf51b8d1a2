"""Reads a suite file: checked whole, before anything else happens.

`file.reading` reads each table; the modules `read_...` check rules across tables, and fill in defaults.
A mistake in the file is a `UserError` naming file, key, value found and valid values.
"""

import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from evaltape.errors import UserError
from evaltape.files import refuse_unusable
from evaltape.names import is_safe_key, shown
from evaltape.suite.definition import Dataset, Suite
from evaltape.suite.file.basics import DatasetKeys
from evaltape.suite.file.reading import Place, read_table
from evaltape.suite.file.tables import SuiteTable
from evaltape.suite.prompt import DEFAULT_INPUT
from evaltape.suite.read_metrics import (
    Scored,
    check_bounds,
    check_judges,
    check_metric_names,
    check_metrics,
    read_comparisons,
    read_judges,
    read_metrics,
)
from evaltape.suite.read_models import read_models, read_split
from evaltape.text import visible


def read_suites(files: Iterable[Path]) -> list[Suite]:
    """Read the suites of a session. Raises `UserError`, also for two of the same name: they would share recordings."""
    suites = [load_suite(file) for file in files]
    refuse_equal_names(suites)
    return suites


def load_suite(file: Path) -> Suite:
    """Read and check a suite file.

    Raises `UserError` for a file that is missing, not TOML, or wrong in any key.
    """
    try:
        content = file.read_bytes()
        values = tomllib.loads(content.decode("utf-8-sig"))
    except FileNotFoundError:
        there = ", ".join(sorted(shown(path) for path in file.parent.glob("*.toml"))) or "none in that folder"
        raise UserError(f"{shown(file)}: there is no such suite file. Suites there: {there}") from None
    except OSError as error:
        raise UserError(f"{shown(file)}: not a readable TOML file: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        refuse_unusable(file, content)
        raise UserError(f"{shown(file)}: not a readable TOML file: {visible(str(error))}") from None
    if not is_safe_key(file.stem):
        raise UserError(f"{shown(file)}: the file's name is the folder of its recordings; use letters, digits, _ and -")
    place = Place(file)
    if isinstance(values.get("metrics"), dict):
        check_metric_names(values["metrics"], place.inside("metrics"))
    return _suite(read_table(SuiteTable, values, place), place)


def _suite(table: SuiteTable, place: Place) -> Suite:
    """Return the suite, checked across its tables."""
    name, fields = place.file.stem, table.dataset.fields
    metrics = read_metrics(table.metrics, place.inside("metrics"))
    judges = read_judges(table, name, place.inside("judges"))
    check_metrics(metrics, judges, place.inside("metrics"))
    scored = Scored(metrics, judges)
    models = read_models(table, scored, place)
    check_judges(judges, metrics, models.values(), place.inside("judges"))
    if table.against is not None:
        check_bounds(table.against.max_drop, "max_drop", place.inside("against"), scored)
    if fields.input is None and not any(model.prompt.conversation for model in models.values()):
        fields = msgspec.structs.replace(fields, input=DEFAULT_INPUT)
    values = {**table.dataset.values_of(DatasetKeys), "fields": fields, "split": read_split(table.dataset)}
    return Suite(
        file=place.file,
        dataset=Dataset(**values),
        metrics=metrics,
        models=models,
        judges=judges,
        comparisons=read_comparisons(table.compare, name, models, scored, place.inside("compare")),
        against=table.against,
        mutants=table.mutants,
    )


def refuse_equal_names(suites: Sequence[Suite]) -> None:
    """Raise `UserError` for two suites of the same name: they would share the folder of their recordings."""
    seen: dict[str, Suite] = {}
    for suite in suites:
        other = seen.setdefault(suite.name.lower(), suite)
        if other is not suite:
            raise UserError(
                f"{shown(other.file)} and {shown(suite.file)} would share the recordings of one suite, "
                f"{suite.name!r}; rename one of the files"
            )
