"""What the commands' parsers have in common."""

import argparse
import sys
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """A parser whose errors are like all of Evaltape's: one message, exit code 4."""

    def __init__(self, prog: str, description: str, epilog: str | None = None) -> None:
        super().__init__(
            prog,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Print the message and the usage, and exit with 4."""
        self.print_usage(sys.stderr)
        self.exit(4, f"{self.prog}: {message}\n")
