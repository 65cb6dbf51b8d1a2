"""An entry of [metrics] that can't be meant is one message: the file and key, the value found, what is valid."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from evaltape.errors import UserError
from evaltape.reporting.results_file import results_json
from evaltape.suite.metric_tables import METRICS, TAKEN

from tests.support.metrics import metrics
from tests.support.report_facts import facts


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {"rouge1": {"tokenizer": "unicde"}},
            "rouge1: tokenizer = 'unicde': it takes \"module:function\"",
        ),
        (
            {"rouge1": {"tokenizer": "acme.ja:words", "stemmer": True}},
            "rouge1: stemmer = true: acme.ja:words is a function of your own; let it stem, and leave stemmer out",
        ),
        (
            {"rouge1": {"tokenizer": "string:capwords", "stemmer": False}, "rouge2": {"tokenizer": "strng:capwords"}},
            "rouge2: tokenizer = 'strng:capwords': there is no module 'strng', neither under",
        ),
    ],
)
def test_an_entry_that_cannot_be_meant_is_refused(root: Path, table: dict[str, dict[str, Any]], message: str) -> None:
    with pytest.raises(UserError) as caught:
        metrics(table, root)
    assert str(caught.value).startswith(f"evals/suites/chats.toml: [metrics] {message}")


def test_without_sacrebleu_the_message_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError) as caught:
        metrics({"rouge1": {}, "chrf": {}})
    assert str(caught.value) == (
        "evals/suites/chats.toml: [metrics] chrf needs sacrebleu, which isn't installed. Install it: pip install 'evaltape[metrics]'"
    )


def test_no_built_in_metric_has_a_name_that_stands_beside_metrics() -> None:
    assert not set(METRICS) & TAKEN


def test_no_key_that_stands_beside_metrics_in_results_is_free() -> None:
    made = results_json(facts())["suites"]["made"]
    keys = {key for prediction in made["predictions"] for key in prediction} | {"unscored"}
    assert keys - {"rouge1", "rougeL"} > {"sample", "model"}
    assert keys - {"rouge1", "rougeL"} <= TAKEN
