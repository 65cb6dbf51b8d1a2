"""`evaltape schema`: print the JSON Schema of suite files, for editors."""

import json
from collections.abc import Sequence

from evaltape.cli import Parser
from evaltape.suite.definition import Suite
from evaltape.suite.file.kinds import Schema, kind_of_table

DESCRIPTION = """\
Prints the JSON Schema of suite files. Save it as suite.schema.json beside your suites, and begin each suite with the line
`#:schema ./suite.schema.json`: editors of TOML then complete and check the keys."""


def main(argv: Sequence[str]) -> int:
    """Print the schema; return the exit code."""
    Parser("schema", DESCRIPTION).parse_args(argv)
    print(json.dumps(suite_schema(), indent=1, ensure_ascii=False))
    return 0


def suite_schema() -> Schema:
    """Return the schema as builtins; it is valid as draft 4, 6 and 7."""
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Evaltape suite"}
    return {**head, **kind_of_table(Suite).schema()}
