"""The command line `evaltape`: each command is a module of this package with a `main` that returns the exit code."""

import argparse
import importlib
import importlib.metadata
import io
import sys
from collections.abc import Sequence
from typing import NoReturn

from evaltape.names import nearest

COMMANDS = {
    "init": "write what a repository needs for its first evaluation; overwrites nothing",
    "label": "label answers by hand, for a judge's exam",
    "schema": "print the JSON Schema of a suite file, for editors",
    "serve": "serve OpenAI's API for an open-weights model on this machine, and fine-tune it",
}
USAGE = "usage: evaltape COMMAND [OPTIONS]"


class Parser(argparse.ArgumentParser):
    """The parser of a command; its errors are a message and exit code 4, like all of Evaltape's."""

    def __init__(self, command: str, description: str, epilog: str | None = None) -> None:
        layout = argparse.RawDescriptionHelpFormatter
        super().__init__(
            f"evaltape {command}", description=description, epilog=epilog, formatter_class=layout, allow_abbrev=False
        )

    def error(self, message: str) -> NoReturn:
        """Print the message and the usage, and exit with 4."""
        self.print_usage(sys.stderr)
        self.exit(4, f"{self.prog}: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return the exit code: 4 for anything that isn't a command."""
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # Another encoding than UTF-8 lacks letters that data and models have.
            stream.reconfigure(errors="backslashreplace")
    if words and words[0] in COMMANDS:  # A command is imported only when it is run: `serve` needs packages that others don't.
        code: int = importlib.import_module(f"evaltape.cli.{words[0]}").main(words[1:])
        return code
    if not words or words[0] in ("-h", "--help"):
        print(_help())
        return 0
    if words[0] == "--version":
        print(f"evaltape {importlib.metadata.version('evaltape')}")
        return 0
    print(f"evaltape: {words[0]!r} is not a command.{nearest(words[0], COMMANDS)}\n\n{_help()}", file=sys.stderr)
    return 4


def _help() -> str:
    lines = [f"  {name:<10}{text}" for name, text in COMMANDS.items()]
    after = ["evaltape COMMAND --help  the options of a command", "evaltape --version", "pytest --help  the options of a run"]
    return "\n".join([USAGE, "", *lines, "", *(f"  {line}" for line in after)])
