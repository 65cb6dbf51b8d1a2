"""`evaltape init`: writes the files of a repository's first evaluation.

It asks nothing, overwrites nothing, lists the files it wrote, and ends with the commands to type next. Everything is planned
before anything is written, so that a mistake leaves the repository as it was.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from evaltape.cli import Parser
from evaltape.cli.init import messages
from evaltape.cli.init.place import find_place
from evaltape.cli.init.plan import example_plan, imported_plan, own_plan
from evaltape.cli.init.suite_text import DEFAULT_MODEL, chosen_model
from evaltape.errors import UserError

DESCRIPTION = """\
Writes what a repository needs for its first evaluation: tests, a suite with its data, one key in pytest's configuration, and
a workflow. It asks nothing, overwrites nothing, and says what to type next. Everything it writes is yours to edit."""
EPILOG = """\
examples:
  evaltape init                                                an example that is green at once: pytest evals
  evaltape init --data tickets.jsonl --model gpt-6-luna        a suite for your own rows
  evaltape init --data owner/name --model llama --base-url http://127.0.0.1:8000/v1
  evaltape init --from promptfooconfig.yaml                    a suite that asks the same as a promptfoo configuration"""


def parser() -> Parser:
    """Return the parser of the command line."""
    made = Parser("init", DESCRIPTION, EPILOG)
    add = made.add_argument
    add("--data", metavar="FILE", help="your rows: a .jsonl, .json, .csv or .parquet file, a folder of them, or a Hub data set")
    add("--from", dest="config", metavar="FILE", help="a promptfoo configuration: its providers, prompts, tests and assertions")
    model_help = f"the model to evaluate, as its API knows it (default with --data: {DEFAULT_MODEL.name})"
    add("--model", metavar="NAME", help=model_help)
    add("--base-url", metavar="URL", help="where it is served (default: OpenAI)")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Write the missing files below the current folder; return the exit code."""
    options = parser().parse_args(argv)
    try:
        model = chosen_model(options.model, options.base_url)
        place = find_place(Path.cwd())
        if options.config is not None:
            if options.data or model:
                own = "--data" if options.data else "--model"
                raise UserError(f"--from {options.config} brings its own rows and models: leave {own} out")
            plan = imported_plan(place, options.config)
        else:
            plan = own_plan(place, options.data, model) if options.data else example_plan(place, model)
        for change in plan.changes:
            change.apply()
    except UserError as error:
        print(f"evaltape init: {error}", file=sys.stderr)
        return 4
    print("\n".join(messages.report(place, plan)))
    return 0
