"""A training that is interrupted and continues is the training that was not interrupted, number for number."""

import copy
from pathlib import Path
from typing import Any

import pytest

from tests.support.local_service import NEEDS_EXTRA, training_config

pytestmark = NEEDS_EXTRA
EPOCHS = 5


class Killed(Exception):
    """Ends a training where a kill would."""


def train(config: dict[str, Any], *, until: tuple[str, int] | None = None) -> list[dict[str, Any]]:
    """Train in this process; return the reports, up to the one at which the training is killed."""
    from evaltape.local.training.trainer import Trainer

    reports: list[dict[str, Any]] = []

    def report(values: dict[str, Any]) -> None:
        reports.append(copy.deepcopy(values))
        if (values["type"], values.get("step")) == until:
            raise Killed

    try:
        Trainer(config, report).run()
    except Killed:
        assert until is not None
    return reports


def metrics(reports: list[dict[str, Any]]) -> dict[int, dict[str, float]]:
    """Return the metrics by step; a step that was trained twice has to have the same both times."""
    by_step: dict[int, dict[str, float]] = {}
    for report in reports:
        if report["type"] in ("step", "validation"):
            values = {key: value for key, value in report.items() if key not in ("type", "step", "steps")}
            known = by_step.setdefault(report["step"], {})
            assert {key: known.get(key, value) for key, value in values.items()} == values
            known |= values
    return by_step


def adapters(config: dict[str, Any]) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in Path(config["out"]).glob("step-*/adapter_model.safetensors")}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    config = training_config(tmp_path_factory.mktemp("whole") / "job", tiny_model, n_epochs=EPOCHS, validation=True)
    return config, train(config)


@pytest.mark.parametrize(
    ("kills", "resumed"),
    [
        ([("step", 2)], [0]),
        ([("step", 5)], [3]),
        ([("checkpoint", 3), ("validation", 6), ("checkpoint", 9)], [3, 3, 9]),
        ([("checkpoint", 15)], [15]),
        ([("done", None)], [15]),
    ],
    ids=["in the first epoch", "in the second", "three times", "after the last", "when done"],
)
def test_losses_and_weights_are_those_of_an_uninterrupted_training(
    tmp_path: Path,
    tiny_model: Path,
    uninterrupted: tuple[dict[str, Any], list[dict[str, Any]]],
    kills: list[tuple[str, int]],
    resumed: list[int],
) -> None:
    config = training_config(tmp_path / "job", tiny_model, n_epochs=EPOCHS, validation=True)
    reports: list[dict[str, Any]] = []
    for until in kills:
        reports += train(config, until=until)
    last = train(config)
    reports += last
    assert [report["step"] for report in reports if report["type"] == "start"] == [0, *resumed]
    assert metrics(reports) == metrics(uninterrupted[1])
    assert len(metrics(reports)) == 3 * EPOCHS
    assert adapters(config) == adapters(uninterrupted[0])
    assert list(adapters(config)) and set(adapters(config)) == {"step-9", "step-12", "step-15"}
    # What the service needs of earlier epochs is reported again: the metrics, and the checkpoints that are kept.
    history = {row["step"]: {key: value for key, value in row.items() if key != "step"} for row in last[0]["history"]}
    assert history == {step: values for step, values in metrics(uninterrupted[1]).items() if step <= resumed[-1]}
    assert {report["step"] for report in last if report["type"] == "checkpoint"} >= {9, 12, 15}


def test_a_checkpoint_without_its_progress_is_trained_again(
    tmp_path: Path, tiny_model: Path, uninterrupted: tuple[dict[str, Any], list[dict[str, Any]]]
) -> None:
    config = training_config(tmp_path / "job", tiny_model, n_epochs=EPOCHS, validation=True)
    train(config, until=("checkpoint", 6))
    (Path(config["out"]) / "progress.safetensors").write_bytes(b"half a fi")
    assert train(config)[0]["step"] == 0
    assert adapters(config) == adapters(uninterrupted[0])
