"""The page about mutants shows what the operators really do, and what `pytest evals --mutate` really prints."""

import re
import tomllib
from pathlib import Path
from random import Random

import pytest
from evaltape.mutation.operators import BUILT_IN
from evaltape.mutation.study import DRAWS, NOTICED_AT, SHARES

from tests.mutation.samples import ANSWERS
from tests.support.commands import evaltape
from tests.support.forked import REPOSITORY, start_forked
from tests.support.project import Project, Run, Running

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


# ---------------------------------------------------------------- the example that `evaltape init` writes


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A repository in which `evaltape init` was run."""
    folder = tmp_path / "example"
    folder.mkdir()
    assert evaltape(folder, "init").exit_code == 0
    return folder


def mutate(folder: Path, *words: str) -> Run:
    """Run the page's command."""
    assert "pytest evals --mutate\n" in PAGE
    output = folder.parent / "output"
    words = ("evals", "--mutate", "-p", "no:cacheprovider", "-p", "no:anyio", *words)
    return Running(start_forked(list(words), folder, Project.environment(), output), output).wait()


def output(name: str) -> str:
    """What the page shows as output."""
    (block,) = re.findall(rf"<!-- output: {name} -->\n```text\n(.*?)```", PAGE, re.DOTALL)
    assert isinstance(block, str)
    return block


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert re.search(old, text), text
    file.write_text(re.sub(old, lambda _: new, text), encoding="utf-8")


def test_the_table_of_the_page_is_that_of_the_example(example: Path) -> None:
    run = mutate(example)
    assert run.exit_code == 0
    assert output("example") in run.output


def test_the_metric_of_the_page_notices_what_the_page_says(example: Path) -> None:
    (code,) = re.findall(r"```python\n(import re\n\nimport evaltape\n\nNUMBER.*?)```", PAGE, re.DOTALL)
    metrics = example / "evals/example_metrics.py"
    metrics.write_text(f"{metrics.read_text(encoding='utf-8')}\n{code}", encoding="utf-8")
    entry, gates = re.findall(r"`(numbers_true = {[^`]*})`|`(gates = {[^`]*})`", PAGE)
    suite = example / "evals/suites/example.toml"
    edit(suite, r"(?m)^names_kept = .*", entry[0])
    edit(suite, r"(?m)^gates = .*", " ".join(gates[1].split()))
    edit(suite, r"(?s)\[compare.*", "")
    assert output("numbers_true") in mutate(example).output


def test_the_failure_of_the_page_is_that_of_the_example(example: Path) -> None:
    edit(example / "evals/suites/example.toml", r"\Z", "\n[mutants]\nnoticed_at = 0.25\n")
    run = mutate(example, "-k", "careful")
    assert run.exit_code == 1
    assert " ".join(output("failure").split()) in " ".join(run.output.split())
