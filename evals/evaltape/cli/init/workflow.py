"""The workflow for GitHub: pull requests are replayed, recordings are made on demand."""

from evaltape.cli.init.changes import Change, new_file
from evaltape.cli.init.place import Place, relative
from evaltape.cli.init.templates import template

FILE = ".github/workflows/evals.yml"


def workflow(place: Place) -> Change:
    """Return the change that creates the workflow at the top of the repository."""
    below = relative(place.here, place.top)
    values = {
        "here": "" if below == "." else f"{below}/",
        "defaults": "" if below == "." else f"\ndefaults:\n  run:\n    working-directory: {below}\n",
        "cassettes": relative(place.cassettes, place.top),
        "snapshots": relative(place.snapshots, place.top),
    }
    text = template("evals.yml", **values)
    return new_file(place.top / FILE, text, "replays every pull request; records when you start it by hand")
