"""Reads a suite file: checked whole, before anything else happens.

The parts are read in `read_dataset`, `read_prompt`, `read_metrics`, `read_models` and `read_comparisons`. Whatever is
wrong with the file is a `UserError` naming file, key, value found and what is valid.
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from evaltape.errors import UserError
from evaltape.files import refuse_lfs_pointer
from evaltape.names import is_safe_key, shown
from evaltape.suite.definition import Suite
from evaltape.suite.keys import SUITE
from evaltape.suite.read_comparisons import read_against, read_comparisons, read_mutants
from evaltape.suite.read_dataset import read_dataset, read_fields
from evaltape.suite.read_endpoint import read_defaults
from evaltape.suite.read_judges import check_judges, check_metrics, read_judges
from evaltape.suite.read_metrics import DEFAULT, Scored, read_metrics
from evaltape.suite.read_models import read_models
from evaltape.suite.read_prompt import DEFAULT_INPUT
from evaltape.suite.table import Table
from evaltape.text import visible


def load_suite(file: Path) -> Suite:
    """Read and check a suite file.

    Raises `UserError` for a file that is missing, not TOML, or wrong in any key.
    """
    values = _read_toml(file)
    if not is_safe_key(file.stem):
        raise UserError(f"{shown(file)}: the file's name is the folder of its recordings; use letters, digits, _ and -")
    _refuse_old_spellings(file, values)
    suite = Table(file, "", values, SUITE)
    table = suite.table("dataset")
    assert table is not None
    fields, metrics, defaults = read_fields(table), read_metrics(suite), read_defaults(suite)
    judges = read_judges(suite, file.stem, defaults)
    check_metrics(suite, metrics, judges)
    scored = Scored(metrics, judges)
    models = read_models(suite, file.stem, fields, defaults, scored)
    check_judges(suite, judges, metrics, models.values())
    if fields.input is None and not any(model.prompt.conversation for model in models.values()):
        fields = msgspec.structs.replace(fields, input=DEFAULT_INPUT)
    return Suite(
        file=file,
        dataset=read_dataset(table, fields),
        metrics=metrics,
        models=models,
        judges=judges,
        comparisons=read_comparisons(suite, file.stem, models, scored),
        against=read_against(suite, scored),
        mutants=read_mutants(suite),
    )


def refuse_equal_names(suites: Sequence[Suite]) -> None:
    """Raise `UserError` for two suites whose recordings would lie in one folder."""
    seen: dict[str, Suite] = {}
    for suite in suites:
        other = seen.setdefault(suite.name.lower(), suite)
        if other is not suite:
            raise UserError(
                f"{shown(other.file)} and {shown(suite.file)} would share the recordings of one suite, "
                f"{suite.name!r}; rename one of the files"
            )


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        content = file.read_bytes()
        refuse_lfs_pointer(file, content)
        return tomllib.loads(content.decode("utf-8-sig"))
    except FileNotFoundError:
        there = ", ".join(sorted(shown(path) for path in file.parent.glob("*.toml"))) or "none in that folder"
        raise UserError(f"{shown(file)}: there is no such suite file. Suites there: {there}") from None
    except OSError as error:
        raise UserError(f"{shown(file)}: not a readable TOML file: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{shown(file)}: not a readable TOML file: {visible(str(error))}") from None


def _refuse_old_spellings(file: Path, values: dict[str, Any]) -> None:
    """Name what replaced a table of earlier versions, filled in with what the old one said."""
    old = values.get("rouge")
    if old is None:
        return
    metrics = old.get("metrics", DEFAULT) if isinstance(old, dict) else DEFAULT
    stemmer = isinstance(old, dict) and old.get("stemmer") is True
    options = "{ stemmer = true }" if stemmer else "{}"
    lines = ", ".join(visible(f"{name} = {options}") for name in (metrics if isinstance(metrics, list) else DEFAULT))
    raise UserError(f"{shown(file)}: [rouge] is now [metrics], which has a key for each metric: {lines}")
