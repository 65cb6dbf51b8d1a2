"""Reads a suite file: checked whole, before anything else happens.

`file.reading` reads each table; the modules `read_...` check rules across tables, and complete models and judges.
A mistake in the file is a `UserError` naming file, key, value found and valid values.
"""

import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec.structs import replace

from evaltape.errors import UserError
from evaltape.files import refuse_unusable
from evaltape.names import is_safe_key, shown
from evaltape.suite.definition import Suite
from evaltape.suite.file.reading import Place, read_table
from evaltape.suite.prompt import DEFAULT_INPUT
from evaltape.suite.read_metrics import check_bounds, check_comparisons, check_judges, check_metrics, read_judges
from evaltape.suite.read_models import read_models
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
    return _checked(read_table(Suite, values, place), place)


def _checked(suite: Suite, place: Place) -> Suite:
    """Return a suite, checked across its tables, with its models and jobs as other tables complete them."""
    check_metrics(suite, place.inside("metrics"))
    judges = read_judges(suite, place.inside("judges"))
    models = read_models(suite, place)
    check_judges(suite, models.values(), place.inside("judges"))
    if suite.against is not None:
        check_bounds(suite.against.max_drop, "max_drop", place.inside("against"), suite)
    check_comparisons(suite, models, place.inside("compare"))
    data = suite.dataset
    if data.fields.input is None and not any(model.prompt.conversation for model in models.values()):
        data = replace(data, fields=replace(data.fields, input=DEFAULT_INPUT))
    return replace(suite, file=place.file, dataset=data, judges=judges, models=models)


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
