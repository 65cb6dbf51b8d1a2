"""The workflow for GitHub: pull requests are replayed, recordings are made on demand."""

import importlib.metadata
import json
import shlex

from evaltape.cli.init.changes import Change, new_file
from evaltape.cli.init.place import Place, relative
from evaltape.cli.init.templates import template
from evaltape.reporting.markdown import MARKER

FILE = ".github/workflows/evals.yml"


def workflow(place: Place) -> Change:
    """Return the change that creates the workflow at the top of the repository."""
    below = relative(place.here, place.top)
    values = {
        "here": "" if below == "." else f"{below}/",
        "defaults": "" if below == "." else f"\ndefaults:\n  run:\n    working-directory: {below}\n",
        "cassettes": relative(place.cassettes, place.top),
        "snapshots": relative(place.snapshots, place.top),
        "requirement": shlex.quote(requirement()),
        "marker": MARKER,
    }
    text = template("evals.yml", **values)
    return new_file(place.top / FILE, text, "replays every pull request; records when you start it by hand")


def requirement() -> str:
    """Return the words by which pip installs this package again: by the commit of a repository if it came from one.

    Source: PEP 610, the file `direct_url.json` of an installed distribution.
    """
    found = importlib.metadata.distribution("evaltape").read_text("direct_url.json")
    origin = json.loads(found) if found else {}
    vcs = origin.get("vcs_info")
    if not vcs:
        return "evaltape"
    return f"evaltape @ {vcs['vcs']}+{origin['url']}@{vcs['commit_id']}"
