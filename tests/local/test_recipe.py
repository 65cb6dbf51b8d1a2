"""The recipe: learning rates, and a training that diverges."""

from pathlib import Path
from typing import Any

from tests.support.local_service import NEEDS_EXTRA, training_config

pytestmark = NEEDS_EXTRA


def test_the_rate_rises_and_falls() -> None:
    from evaltape.local.training.recipe import Plan, resolve

    plan = Plan(n_epochs=1, batch_size=8, learning_rate_multiplier=2)
    assert plan.steps(300) == 38
    rates = [plan.rate(step, 20) for step in range(20)]
    assert rates[:2] == [5e-4, 1e-3]
    assert rates.index(max(rates)) in (1, 2)
    assert 0 < rates[-1] < 1e-4
    auto = {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"}
    assert [resolve(auto, examples).n_epochs for examples in (10, 300, 20_000)] == [10, 3, 1]


def test_a_training_that_diverges_says_so(tmp_path: Path, tiny_model: Path) -> None:
    from evaltape.local.training.trainer import Trainer

    config = training_config(tmp_path / "job", tiny_model, n_epochs=9)
    config["plan"]["learning_rate_multiplier"] = 1e30
    reports: list[dict[str, Any]] = []
    Trainer(config, reports.append).run()
    assert reports[-1]["type"] == "failed"
    assert "diverged at step" in reports[-1]["message"]
    assert "lower the learning_rate_multiplier" in reports[-1]["message"]
