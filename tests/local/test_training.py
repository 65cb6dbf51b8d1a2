"""Trainings: resumed, of preferences, in two processes, and the ends that are no success."""

import asyncio
import copy
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.local_service import NEEDS_EXTRA, encoder, jsonl, preferences, training_config

pytestmark = NEEDS_EXTRA


class Killed(Exception):
    """Ends a training where a kill would."""


def train(config: dict[str, Any], *, until: tuple[str, int] | None = None) -> list[dict[str, Any]]:
    """Train in this process; return the reports, up to the one at which the training is killed."""
    from evaltape.local.training import trainer

    reports: list[dict[str, Any]] = []

    def report(values: dict[str, Any]) -> None:
        reports.append(copy.deepcopy(values))
        if (values["type"], values.get("step")) == until:
            raise Killed

    try:
        trainer.train(config, report)
    except Killed:
        assert until is not None
    return reports


def metrics(reports: list[dict[str, Any]]) -> dict[int, dict[str, float]]:
    """Return the metrics by step; a step that was trained twice has to have the same both times."""
    by_step: dict[int, dict[str, float]] = {}
    for report in reports:
        if report["type"] in ("step", "validation"):
            values = {key: value for key, value in report.items() if key not in ("type", "step", "steps", "tokens")}
            known = by_step.setdefault(report["step"], {})
            assert {key: known.get(key, value) for key, value in values.items()} == values
            known |= values
    return by_step


def adapters(config: dict[str, Any]) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in Path(config["out"]).glob("*/adapter_model.safetensors")}


def test_an_interrupted_training_has_the_numbers_and_weights_of_an_uninterrupted_one(tmp_path: Path, tiny_model: Path) -> None:
    whole = training_config(tmp_path / "whole", tiny_model, n_epochs=5, validation=True)
    expected = train(whole)
    config = training_config(tmp_path / "job", tiny_model, n_epochs=5, validation=True)
    reports: list[dict[str, Any]] = []
    # In the first epoch; in a later one; between an epoch's last step and its checkpoint.
    for until in (("step", 1), ("step", 5), ("validation", 12)):
        reports += train(config, until=until)
    half = Path(config["out"]) / "checkpoint-11"
    half.mkdir()
    (half / "adapter_model.safetensors").write_bytes(b"half a fi")
    reports += train(config)
    assert [report["step"] for report in reports if report["type"] == "start"] == [0, 0, 4, 10]
    assert metrics(reports) == metrics(expected)
    assert len(metrics(reports)) == 15
    kept = {"checkpoint-9", "checkpoint-12", "checkpoint-15"}
    assert kept == set(adapters(whole)) <= set(adapters(config))
    assert {name: adapters(config)[name] for name in kept} == adapters(whole)
    losses = [values["train_loss"] for values in metrics(reports).values()]
    assert losses[-1] < losses[0]
    # The service needs the metrics of earlier starts again, and their checkpoints.
    last = train(config)
    assert [report["step"] for report in last if report["type"] == "checkpoint"] == [9, 12, 15]
    assert metrics([{"type": "step", **row} for row in last[0]["history"]]) == metrics(expected)


def test_a_training_of_one_step_learns(tmp_path: Path, tiny_model: Path) -> None:
    config = training_config(tmp_path / "job", tiny_model, n_epochs=1, validation=True)
    config["plan"]["batch_size"] = 12
    (values,) = metrics(train(config)).values()
    assert values["valid_loss"] < values["train_loss"] - 0.01


def test_preferences_are_learnt(tmp_path: Path, tiny_model: Path) -> None:
    config = training_config(tmp_path / "job", tiny_model, n_epochs=2, validation=True)
    (tmp_path / "job" / "train.jsonl").write_bytes(jsonl(preferences()))
    encoder().write(tmp_path / "job" / "train.jsonl", tmp_path / "job" / "examples.jsonl", "dpo")
    config |= {"method": "dpo", "plan": {**config["plan"], "beta": 0.1}}
    rows = metrics(train(config))
    assert rows[1]["train_loss"] == pytest.approx(0.6931, abs=1e-3), "both answers are alike at first"
    assert rows[6]["valid_loss"] < 0.6 < rows[1]["train_loss"]
    assert rows[6]["valid_mean_token_accuracy"] == 1.0


def test_a_training_that_diverges_says_so(tmp_path: Path, tiny_model: Path) -> None:
    from evaltape.local.training.trainer import Stop

    config = training_config(tmp_path / "job", tiny_model, n_epochs=9)
    config["plan"]["learning_rate_multiplier"] = 1e30
    with pytest.raises(Stop, match=r"diverged at step \d+: lower the learning_rate_multiplier"):
        train(config)


# ---------------------------------------------------------------- two processes

TWO = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]


def run(launcher: list[str], config: dict[str, Any], *, until: tuple[str, int] | None = None) -> list[dict[str, Any]]:
    """Train under a launcher as the service does; return the reports, up to the one at which it is killed."""
    from evaltape.local.training.worker import run_trainer

    path = Path(config["out"]).parent / "config.json"
    path.write_text(json.dumps(config))
    reports: list[dict[str, Any]] = []

    def receive(report: dict[str, Any]) -> None:
        reports.append(report)
        if (report["type"], report.get("step")) == until:
            raise Killed

    try:
        reason = asyncio.run(run_trainer(path, launcher, receive))
        assert reports[-1]["type"] == "done", reason
    except Killed:
        assert until
    return reports


def test_two_processes_see_the_data_of_one_and_go_on_after_a_kill(tmp_path: Path, tiny_model: Path) -> None:
    one = training_config(tmp_path / "one", tiny_model, n_epochs=3, validation=True)
    two = training_config(tmp_path / "two", tiny_model, n_epochs=3, validation=True)
    alone = train(one)
    first = run(TWO, two, until=("step", 5))
    second = run(TWO, two)
    began, went_on = (report["step"] for report in first + second if report["type"] == "start")
    assert began == 0
    assert went_on in (4, 5)  # The kill comes before the checkpoint of the fifth step, or after it.
    together = {step: values for reports in (first, second) for step, values in metrics(reports).items()}
    for step, values in metrics(alone).items():
        # The same rows in every step, so nearly the same loss.
        assert together[step]["train_loss"] == pytest.approx(values["train_loss"], rel=0.005)
    for step in (3, 6, 9):
        assert together[step]["valid_loss"] == pytest.approx(metrics(alone)[step]["valid_loss"], rel=0.02)
    seen = {report["step"]: report["tokens"] for report in alone if report["type"] == "step"}
    assert {report["step"]: report["tokens"] for report in first + second if report["type"] == "step"} == seen


@pytest.mark.parametrize(
    ("launcher", "words"),
    [
        (["sh", "-c", "echo no such cluster >&2; exit 3"], "ended with exit code 3: no such cluster"),
        (["true"], "`true` ended with exit code 0: no message"),
    ],
)
def test_a_launcher_that_dies_is_named_with_its_last_words(tmp_path: Path, launcher: list[str], words: str) -> None:
    from evaltape.local.training.worker import run_trainer

    reports: list[Any] = []
    assert words in asyncio.run(run_trainer(tmp_path / "config.json", launcher, reports.append))
    assert not reports


def test_a_launcher_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    from evaltape.cli.serve import main

    assert main(["--model", "m", "--train-command", "accelerato launch"]) == 4
    said = capsys.readouterr().err
    assert "--train-command accelerato launch: no program 'accelerato' is installed here. Valid: a command that" in said
