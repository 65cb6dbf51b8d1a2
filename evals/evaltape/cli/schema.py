"""`evaltape schema`: print the JSON Schema of suite files, for editors."""

from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """Print the schema; return the exit code."""
    from evaltape.cli.arguments import Parser
    from evaltape.suite.file.schema import schema_text

    parser = Parser(
        prog="evaltape schema",
        description="Print the JSON Schema of suite files. Write it to a file beside your suites, and let each begin with "
        "`#:schema ./suite.schema.json`: editors of TOML then complete and check its keys.",
    )
    parser.parse_args(argv)
    print(schema_text(), end="")
    return 0
