"""`evaltape schema`: print the JSON Schema of suite files, for editors."""

from collections.abc import Sequence

from evaltape.cli import Parser
from evaltape.suite.file.schema import schema_text

DESCRIPTION = """\
Prints the JSON Schema of suite files. Save it as suite.schema.json beside your suites, and begin each suite with the line
`#:schema ./suite.schema.json`: editors of TOML then complete and check the keys."""


def main(argv: Sequence[str]) -> int:
    """Print the schema; return the exit code."""
    Parser("schema", DESCRIPTION).parse_args(argv)
    print(schema_text(), end="")
    return 0
