"""docs/reports.md names every key of the results file, and no other."""

import re
from typing import get_args

from evaltape.findings import Accepted
from evaltape.recording.unfinished import ToCome
from evaltape.reporting.results_file import results_json
from evaltape.reporting.scoreboard import COLUMNS
from evaltape.scoring.bounds import Verdict
from evaltape.scoring.noise import Noise
from msgspec.structs import replace

from tests.support.forked import REPOSITORY
from tests.support.report_facts import (
    facts,
    suite_of,
    with_against,
    with_history,
    with_judges,
    with_model,
    with_mutants,
    with_prediction,
    with_references,
    with_slices,
)

PAGE = (REPOSITORY / "docs/reports.md").read_text(encoding="utf-8")


def keys_of(heading: str) -> set[str]:
    """The keys in the first column of the table after a heading."""
    table = PAGE.split(heading)[1].split("\n\n")[1]
    return set(re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in table.splitlines()[2:])))


def test_the_page_names_every_key_of_the_results_file() -> None:
    made = with_history(with_references(with_judges(with_mutants(with_against(with_slices(facts()))))))
    made = with_prediction(made, 1, served="base-2027", scores={"rougeL": 0.1}, unscored={"rouge1": "no words"})
    noise = Noise(3, 12, 12, 0.4, 0.01, 0.02, 24.0)
    made = with_model(
        made,
        "base",
        accepted=Accepted(False, {"rouge1": (0.1, 0.2)}),
        noise={"rouge1": noise},
        unfinished=ToCome(1, 12),
    )
    suite = results_json(replace(made))["suites"]["made"]
    assert keys_of("Of a suite:") == set(suite)
    assert keys_of("Of a model:") == set(suite["models"]["base"])


def first_column(heading: str) -> list[str]:
    """The words in the first column of the table that begins with a title."""
    rows = PAGE.split(f"\n| {heading} |")[1].split("\n\n")[0].splitlines()[2:]
    return [row.split("|")[1].strip().strip("`") for row in rows]


def test_the_page_explains_every_column_and_every_verdict() -> None:
    titles = dict.fromkeys(title for titles in COLUMNS.values() for title in titles if title)
    assert sorted(first_column("column")) == sorted(titles)
    assert first_column("verdict") == list(get_args(Verdict))


def test_the_line_of_a_cause_is_that_of_a_run() -> None:
    assert "80 recordings are of another prompt: pytest evals --record-missing" in PAGE
    assert suite_of(facts()).commands.record_missing() == "pytest evals --record-missing"
