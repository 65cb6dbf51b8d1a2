"""References that models agree against, in answers made by hand."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from evaltape.samples.sample import Answer, Failure, Sample
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.references import MOST_NAMED, Outvoted, outvoted
from evaltape.scoring.scores import ModelScores
from evaltape.suite.definition import Finetune, Model, Train

from tests.support.metrics import metrics

REFERENCE = "Ana meets Zoe at noon"


def named(key: str, served: str | None = None, **keys: Any) -> Model:
    """A model that is asked by its key, or by another name."""
    return Model(key, "chats", key if served is None else served, **keys)


def answers(model: str | Model, *texts: str | None, references: Sequence[str] = (REFERENCE,)) -> ModelScores:
    """A model's answers to a sample each; None for a failed one."""
    model = named(model) if isinstance(model, str) else model
    failed = Answer(failure=Failure("call", "it broke"))
    rows = [
        Prediction(model, Sample(f"s{number}", "", tuple(references)), failed if text is None else Answer(text))
        for number, text in enumerate(texts)
    ]
    return ModelScores(model, metrics({"exact": {}}), rows)


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (("yes", "yes"), (("a", "b"), 1.0, 0.0)),
        (("Yes!", "yes"), (("a", "b"), 1.0, 0.0)),
        (("yes", "no", "no"), (("b", "c"), 1.0, 0.0)),
        (("yes", "no"), None),
        (("Ana meets Zoe", "Ana meets Zoe"), None),
        (("yes", None), None),
        (("yes", ""), None),
        (("yes",), None),
        # Of 4 and 4 words 2 are common, in order: 0.5, the least that counts.
        (("Bob calls Eve twice", "Bob calls her once"), (("a", "b"), 0.5, 0.0)),
        (("Bob calls Eve twice", "Bob called her once"), None),
        # Of 5 and 5 words 4 are common: 0.8. With the reference 2 of 5 and 5: 0.4, half as far; with three it is 0.6.
        (("Bob calls Eve at noon", "Bob calls her at noon"), (("a", "b"), 0.8, 0.4)),
        (("Bob calls Zoe at noon", "Bob calls her at noon"), None),
    ],
)
def test_two_models_agree_by_half_and_twice_as_far_as_with_the_reference(
    texts: Sequence[str | None], found: tuple[tuple[str, str], float, float] | None
) -> None:
    models = [answers(key, text) for key, text in zip("abc", texts, strict=False)]
    assert outvoted(models) == (() if found is None else (Outvoted("s0", *found),))


def test_every_reference_is_asked() -> None:
    references = (REFERENCE, "Bob calls Eve")
    assert outvoted([answers(key, "Bob calls Eve", references=references) for key in "ab"]) == ()
    assert outvoted([answers(key, "Bob calls Eve", references=()) for key in "ab"]) == ()


def tuned(**train: Any) -> Model:
    """A model tuned from `a`."""
    job = Finetune(key="tuned", suite="chats", base=named("a"), base_key="a", train=Train(**train))
    return named("tuned", "", job=job)


@pytest.mark.parametrize(
    ("models", "number"),
    [
        ([named("a"), named("b")], 1),
        ([named("a"), named("a-terse", "a")], 0),
        ([named("a"), tuned()], 0),
        ([named("b"), tuned()], 1),
        ([named("b"), tuned(recorded="chats/b")], 0),
        ([named("a"), named("a-terse", "a"), named("b")], 1),
        ([named("old", "", predictions=Path("old.jsonl")), named("new", "", predictions=Path("new.jsonl"))], 1),
    ],
)
def test_models_of_one_origin_are_one_voice(models: Sequence[Model], number: int) -> None:
    assert len(outvoted([answers(model, "yes") for model in models])) == number


def test_the_widest_gap_comes_first_and_ten_are_named() -> None:
    first, other = ["Bob calls Eve at noon", *["yes"] * 12], ["Bob calls her at noon", *["yes"] * 12]
    found = outvoted([answers("a", *first), answers("b", *other)])
    assert [one.sample for one in found] == [f"s{number}" for number in range(1, MOST_NAMED + 1)]
    found = outvoted([answers("a", *first[:2]), answers("b", *other[:2])])
    assert [(one.sample, round(one.gap, 9)) for one in found] == [("s1", 1.0), ("s0", 0.4)]
