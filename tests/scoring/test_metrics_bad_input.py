"""An entry of [metrics] that can't be meant is one message: the file and key, the value found, what is valid."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from evaltape.errors import UserError
from evaltape.scoring.specs import KINDS, RESERVED

from tests.support.metrics import metrics

VALID = (
    'Valid: rouge1 to rouge9, rougeL, rougeLsum, chrf, bleu, exact, words, latency_s, cost_usd, or { function = "module:name" }'
)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"rogue1": {}}, f"rogue1 is not a metric Evaltape knows. Did you mean 'rouge1'? {VALID}"),
        ({"rouge0": {}}, "rouge0 is not a metric Evaltape knows. Did you mean 'rouge"),
        ({"meteor": {}}, f"meteor is not a metric Evaltape knows. {VALID}"),
        ({"latency": {}}, f"latency is not a metric Evaltape knows. Did you mean 'latency_s'? {VALID}"),
        (
            {"rougeL": {"stemer": True}},
            "rougeL: stemer is not an option of it. Did you mean 'stemmer'? Valid here: stemmer, tokenizer",
        ),
        ({"chrf": {"stemmer": True}}, "chrf: stemmer is not an option of it. Valid here: references"),
        ({"words": {"references": "best"}}, "words: references is not an option of it. It takes none"),
        ({"rougeL": {"stemmer": "yes"}}, "rougeL: stemmer = 'yes': it takes true or false"),
        ({"rougeL": {"tokenizer": True}}, "rougeL: tokenizer = True: it takes a text"),
        ({"bleu": {"references": "worst"}}, "bleu: references = 'worst': it takes 'best' or 'mean'"),
        (
            {"rouge1": {"tokenizer": "unicde"}},
            "rouge1: tokenizer = 'unicde': it takes 'rouge', 'unicode' or 'module:function'. Did you mean 'unicode'?",
        ),
        (
            {"rouge1": {"tokenizer": "acme.ja:words", "stemmer": True}},
            "rouge1: stemmer = true: acme.ja:words is a function of your own; let it stem, and leave stemmer out",
        ),
        (
            {"rouge1": {"tokenizer": "string:capwords", "stemmer": False}, "rouge2": {"tokenizer": "strng:capwords"}},
            "rouge2: tokenizer = 'strng:capwords': there is no module 'strng', neither under",
        ),
        ({"rouge1": {"function": "acme.metrics:f"}}, "rouge1 is a name of Evaltape's own; give the function's metric another"),
        (
            {"prediction": {"function": "acme.metrics:f"}},
            "prediction is a name of Evaltape's own; give the function's metric another",
        ),
        (
            {"mine": {"function": "string:capwords", "bounds": [0, 1]}},
            "mine: bounds is not an option of it. Valid here: function",
        ),
        ({"mine": {"function": 1}}, "mine: function = 1: it takes a text"),
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
    assert not set(KINDS) & set(RESERVED)
