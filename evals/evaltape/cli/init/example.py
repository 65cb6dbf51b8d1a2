"""The example: dialogues with the answers of a careful and a hasty summariser, so that the first run is green at once."""

from pathlib import Path

from evaltape.cli.init.changes import Change, new_file
from evaltape.cli.init.own_suite import ChosenModel, model_table
from evaltape.cli.init.place import Place
from evaltape.cli.init.templates import template

SUITE = "example"
ROWS = 24
DATA = {
    "dialogues.jsonl": "24 dialogues with a summary each",
    "careful.jsonl": "the answers of a careful summariser",
    "hasty.jsonl": "the answers of a hasty one",
}


def is_wanted(place: Place) -> bool:
    """Return whether the example is written: no suite is there yet, or the example's, which is completed."""
    return not place.suites() or suite_file(place) in place.suites()


def suite_file(place: Place) -> Path:
    """Return the path of the example's suite."""
    return place.evals / "suites" / f"{SUITE}.toml"


def example(place: Place, model: ChosenModel | None) -> list[Change]:
    """Return the changes that create the example, with a model to record if there is one."""
    module, metrics = place.metrics_file()
    text = template(f"{SUITE}.toml", metrics=module)
    if model is not None:
        text += f"\n{model_table(model)}"
    return [
        new_file(suite_file(place), text, "the suite: data, prompt, metrics, models, gates"),
        new_file(metrics, template("example_metrics.py"), "a metric of your own: a function of sample and answer"),
        *(new_file(place.evals / "data" / SUITE / name, template(name), text) for name, text in DATA.items()),
        *(_accepted(place, model) for model in ("careful", "hasty")),
    ]


def _accepted(place: Place, model: str) -> Change:
    text = template(f"{model}.scores")
    return new_file(place.snapshots / SUITE / f"{model}.scores", text, f"the accepted scores of {model}")
