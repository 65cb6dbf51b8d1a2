"""Operators by name: those that are built in, and a user's own."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from evaltape.errors import UserError
from evaltape.mutation.operators import BUILT_IN, Operator, load_operators
from hypothesis import given
from hypothesis import strategies as st

from tests.mutation.samples import ANSWERS, Sample

OWN = '''\
"""A user's operators."""
from evaltape.mutation.operators import operator

def wrong_year(sample, answer, random):
    return answer + f" in {random.choice([1066, 1492])}" if sample.id != "memo" else None

@operator(harmful=False)
def in_capitals(sample, answer, random):
    return answer.upper()

def broken(sample, answer, random):
    return sample.references[1]

def number(sample, answer, random):
    return 5

def too_few(sample, answer):
    return answer

year = 1066
'''


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module with a user's operators."""
    (tmp_path / "acme_mutants.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield "acme_mutants"
    sys.modules.pop("acme_mutants", None)


def load(*names: str) -> list[str]:
    return [each.name for each in load_operators(names, "evals/suites/chats.toml: [mutants] operators", Path.cwd())]


def texts_of(operators: Iterable[Operator]) -> list[list[str | None]]:
    """What each operator makes of the six answers."""
    return [[operator.apply(sample, text, ANSWERS) for sample, text in ANSWERS] for operator in operators]


def test_without_names_all_that_are_built_in_are_used_the_harmful_first() -> None:
    operators = load_operators(None, "chats.toml: [mutants] operators", Path.cwd())
    assert [(each.name, each.harmful) for each in operators] == [
        *((name, True) for name in ("swap_names", "other_name", "negate", "wrong_number", "drop_half", "other_sample")),
        *((name, True) for name in ("first_lines", "refusal", "repeat")),
        *((name, False) for name in ("preamble", "whitespace", "quotes", "final_stop")),
    ]


def test_the_order_of_the_suite_is_kept() -> None:
    assert load("negate", "swap_names") == ["negate", "swap_names"]


def test_an_unknown_name_is_answered_with_the_nearest_and_all() -> None:
    with pytest.raises(UserError) as caught:
        load("swap_name")
    assert str(caught.value) == (
        "evals/suites/chats.toml: [mutants] operators: 'swap_name' is not an operator. Did you mean 'swap_names'? Built in: "
        "swap_names, other_name, negate, wrong_number, drop_half, other_sample, first_lines, refusal, repeat, preamble, "
        'whitespace, quotes, final_stop. One of your own is "module:function", a function of (sample, answer, random)'
    )


def test_a_plain_function_harms_and_a_decorated_one_says_that_it_does_not(own_module: str) -> None:
    names = [f"{own_module}:wrong_year", f"{own_module}:in_capitals"]
    operators = load_operators(names, "chats.toml: [mutants] operators", Path.cwd())
    assert [each.harmful for each in operators] == [True, False]
    year, capitals = texts_of(operators)
    assert [text is not None for text in year] == [True] * 5 + [False]
    assert year[4] in {"Ida complains of the rain. in 1066", "Ida complains of the rain. in 1492"}
    assert capitals[4] == "IDA COMPLAINS OF THE RAIN."


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "acme_mutant:wrong_year",
            "there is no module 'acme_mutant', neither under . nor installed. Did you mean 'acme_mutants'?",
        ),
        (
            "acme_mutants:wrong_yaer",
            "acme_mutants has no 'wrong_yaer'. Did you mean 'wrong_year'? Functions there: wrong_year, ",
        ),
        ("acme_mutants:year", "acme_mutants:year is 1066, not a function of (sample, answer, random)"),
        ("acme_mutants:too_few", "acme_mutants:too_few(sample, answer) can't be called with (sample, answer, random): "),
    ],
)
def test_a_function_that_cannot_be_imported_is_named(own_module: str, name: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load(name)
    assert str(caught.value).startswith(f"evals/suites/chats.toml: [mutants] operators: {name!r}: {message}")


def test_what_an_operator_raises_is_reported_with_its_sample_and_line(own_module: str) -> None:
    with pytest.raises(UserError) as caught:
        texts_of(load_operators([f"{own_module}:broken"], "chats.toml: [mutants] operators", Path.cwd()))
    assert str(caught.value) == (
        "[mutants] operators, sample 'lift': acme_mutants.py:12: acme_mutants:broken raised IndexError: tuple index out of range"
    )


def test_an_operator_that_returns_something_else_than_a_text_is_reported(own_module: str) -> None:
    with pytest.raises(UserError, match=r"sample 'lift': acme_mutants.py:14: acme_mutants:number returned 5, neither"):
        texts_of(load_operators([f"{own_module}:number"], "chats.toml: [mutants] operators", Path.cwd()))


def test_the_same_answers_give_the_same_mutants_whatever_else_is_damaged() -> None:
    everything = dict(zip(BUILT_IN, texts_of(BUILT_IN.values()), strict=True))
    for operator in reversed(BUILT_IN.values()):
        assert texts_of([operator]) == [everything[operator.name]]


def test_chance_differs_from_sample_to_sample() -> None:
    hours = {BUILT_IN["wrong_number"].apply(Sample(str(n), ""), "at 8 pm", ANSWERS) for n in range(30)}
    assert len(hours) > 5


@given(st.text(max_size=30), st.text(max_size=30), st.sampled_from(sorted(BUILT_IN)))
def test_any_text_is_damaged_or_left_out_and_never_left_as_it_is(dialogue: str, answer: str, name: str) -> None:
    sample = Sample("s", f"Ann: {dialogue}\nBob: hi")
    answer = f"{answer} Ann"
    mutant = BUILT_IN[name].apply(sample, answer, [(sample, answer), *ANSWERS])
    assert mutant is None or (isinstance(mutant, str) and mutant != answer)
