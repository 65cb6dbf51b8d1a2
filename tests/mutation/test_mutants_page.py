"""The page about mutants shows what the operators really do."""

import re
import tomllib
from random import Random

from evaltape.mutation.operators import BUILT_IN
from evaltape.mutation.study import DRAWS, NOTICED_AT, SHARES

from tests.mutation.samples import ANSWERS
from tests.support.forked import REPOSITORY

PAGE = (REPOSITORY / "docs/mutants.md").read_text(encoding="utf-8")


def rows() -> dict[str, tuple[str, str]]:
    """Per operator of the page's table whether it is said to harm, and its mutant."""
    table = re.findall(r"^\| `(\w+)` \| (yes|no) \| (.*) \|$", PAGE, re.MULTILINE)
    return {name: (harmful, mutant.replace("⏎", "\n")) for name, harmful, mutant in table}


def test_the_page_has_every_operator_in_its_order_and_says_which_harm() -> None:
    assert [(name, harmful == "yes") for name, (harmful, _) in rows().items()] == [
        (each.name, each.harmful) for each in BUILT_IN.values()
    ]


def test_each_mutant_of_the_page_is_one_that_its_operator_makes() -> None:
    sample, answer = ANSWERS[0]
    assert sample.input in PAGE
    assert f"> {answer}\n" in PAGE
    for name, (_, mutant) in rows().items():
        operator = BUILT_IN[name]
        more = (ANSWERS,) if operator.from_others else ()
        assert mutant in {operator.function(sample, answer, Random(seed), *more) for seed in range(200)}, name


def test_the_numbers_of_the_page_are_those_of_the_study() -> None:
    shares = [f"{share:.0%}".rstrip("%") for share in SHARES]
    assert f"{', '.join(shares[:-1])} and {shares[-1]}%" in PAGE
    assert f"In each of {DRAWS} draws" in PAGE
    assert f"at least 16 of the {DRAWS} draws" in PAGE
    (suite,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert tomllib.loads(suite)["mutants"]["noticed_at"] == NOTICED_AT
