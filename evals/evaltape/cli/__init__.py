"""The command line `evaltape`: `schema` and `serve`."""

import sys
from collections.abc import Callable, Sequence

COMMANDS = {
    "schema": "print the JSON Schema of suite files, for editors",
    "serve": "serve OpenAI's API for an open-weights model on this machine, and fine-tune it",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] and words[0] in COMMANDS:
        return _command(words[0])(words[1:])
    asked_for_help = not words or words[0] in ("-h", "--help")
    lines = ["usage: evaltape COMMAND ...", "", *(f"  {name:<8}{text}" for name, text in COMMANDS.items())]
    if not asked_for_help:
        lines = [f"evaltape: {words[0]!r} is not a command", *lines]
    print("\n".join(lines), file=sys.stdout if asked_for_help else sys.stderr)
    return 0 if asked_for_help else 4


def _command(name: str) -> Callable[[Sequence[str]], int]:
    from evaltape.cli import schema, serve

    return {"schema": schema.main, "serve": serve.main}[name]
