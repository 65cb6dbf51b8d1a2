"""The declared tables in two other forms: JSON Schema for editors of TOML, and Markdown tables for the documentation."""

import json
from collections.abc import Iterable, Iterator
from itertools import starmap

from evaltape.suite.definition import Suite
from evaltape.suite.file.kinds import Kind, Schema, keys_of, kind_of_table
from evaltape.suite.file.values import Table
from evaltape.suite.metric_tables import METRICS, MetricTable, OwnMetric


def suite_schema() -> Schema:
    """Return the schema as builtins; it is valid as draft 4, 6 and 7."""
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Evaltape suite"}
    return {**head, **kind_of_table(Suite).schema()}


def schema_text() -> str:
    """Return the schema as the text of its file."""
    return json.dumps(suite_schema(), indent=1, ensure_ascii=False) + "\n"


def key_tables() -> dict[str, str]:
    """Return a table of keys for each table of the suite file, by the name in its header, as `models.KEY`.

    A table that stands in several places, as a prompt does, is there once.
    """
    head = ("key", "takes", "default", "meaning")
    return {place: _markdown(head, starmap(_row, keys_of(table).items())) for place, table in declared_tables()}


def declared_tables() -> Iterator[tuple[str, type[Table]]]:
    """Yield the tables of the suite file, each once, with the name in its header."""
    seen: set[type[Table]] = set()
    waiting: list[tuple[str, type[Table]]] = [("", Suite)]
    while waiting:
        place, table = waiting.pop(0)
        if table in seen or issubclass(table, MetricTable):
            continue
        seen.add(table)
        if place:
            yield place, table
        waiting += [found for name, key in keys_of(table).items() for found in _inside(f"{place}.{name}".lstrip("."), key)]


def metrics_table() -> str:
    """Return the table of metrics with their options."""
    tables: list[type[MetricTable]] = list(dict.fromkeys([*METRICS.values(), OwnMetric]))
    names = {table: [name for name, it in METRICS.items() if it is table] or ["NAME"] for table in tables}
    about = {table: (table.__doc__ or "").split("\n")[0] for table in tables}
    rows = [(_coded(names[table]), _coded(keys_of(table)) or "none", about[table]) for table in tables]
    return _markdown(("metric", "options", "score"), rows)


def options_table() -> str:
    """Return the table of all options of metrics."""
    tables: list[type[MetricTable]] = [*METRICS.values(), OwnMetric]
    options = {name: key for table in tables for name, key in keys_of(table).items()}
    return _markdown(("option", "takes", "default", "meaning"), starmap(_row, options.items()))


def _inside(place: str, kind: Kind) -> Iterator[tuple[str, type[Table]]]:
    for member in kind.members:
        if member.table is not None:
            yield place, member.table
        elif member.takes in ("a table", "a list of tables") and member.item.table is not None:
            yield f"{place}.KEY" if member.takes == "a table" else place, member.item.table


def _row(name: str, key: Kind) -> tuple[str, str, str, str]:
    default = "required" if key.required else "" if key.default is None else f"`{json.dumps(key.default)}`"
    return f"`{name}`", key.takes, default, key.about


def _coded(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _markdown(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    escaped = [[cell.replace("<", "&lt;").replace("|", "\\|") for cell in row] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in (head, ["---"] * len(head), *escaped))
