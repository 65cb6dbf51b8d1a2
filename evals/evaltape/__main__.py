"""`python -m evaltape`: the command line."""

import sys

from evaltape.cli import main

if __name__ == "__main__":
    sys.exit(main())
