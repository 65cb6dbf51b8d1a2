"""`evaltape schema`: print the JSON Schema of suite files, for editors."""

from collections.abc import Sequence

from evaltape.cli import Parser
from evaltape.suite.file.schema import schema_text

DESCRIPTION = """\
Print the JSON Schema of suite files. Write it to a file beside your suites, and let each begin with
`#:schema ./suite.schema.json`: editors of TOML then complete and check its keys."""


def main(argv: Sequence[str]) -> int:
    """Print the schema; return the exit code."""
    Parser("schema", DESCRIPTION).parse_args(argv)
    print(schema_text(), end="")
    return 0
