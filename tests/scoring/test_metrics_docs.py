"""docs/metrics.md: its code runs, its suites are read, and its figures are those that come out."""

import re
import tomllib
from pathlib import Path

import pytest
from evaltape.metrics.metric import Metric
from evaltape.metrics.reference_check import check_references
from evaltape.metrics.tokenizers import unicode_words
from evaltape.suite.metric_tables import METRICS, TAKEN

from tests.scoring.test_metrics_tokenizers import JAPANESE
from tests.support.metrics import Example, metrics, score, scored

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
CHAT = Example(input="Anna: I bring cake\nBen: and I?\nCleo: wine", references=("Anna brings cake and Cleo wine.",))


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def rows(first_header: str) -> list[list[str]]:
    """The cells of the table whose header starts so."""
    table = PAGE[PAGE.index(f"| {first_header}") :].split("\n\n")[0].split("\n")
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table[2:]]


@pytest.fixture
def acme(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with the files of the page."""
    for block in blocks("python"):
        name = re.match(r"# (acme/\w+\.py)\n", block)
        assert name, block
        (root / name[1]).parent.mkdir(exist_ok=True)
        (root / name[1]).write_text(block)
    return root


def built(root: Path, containing: str) -> dict[str, Metric]:
    """The metrics of the page's suite that contains a text."""
    return next(metrics(tomllib.loads(block)["metrics"], root) for block in blocks("toml") if containing in block)


def test_the_first_suite_of_the_page_scores(acme: Path) -> None:
    scores, unscored = scored(built(acme, "chrf"), CHAT, "Anna and Ben bring wine")
    assert list(scores) == ["rouge1", "rougeL", "chrf", "words", "names_kept"]
    assert scores["words"] == 5
    assert scores["names_kept"] == 0.5
    assert not unscored


def test_functions_of_the_page_score_as_they_say(acme: Path) -> None:
    own = built(acme, "repetition")
    scores, _ = scored(own, CHAT, "Anna Anna brings Cleo")
    assert scores["names_kept"] == 1.0
    assert scores["repetition"] == 0.25
    assert (own["repetition"].higher_is_better, own["repetition"].bounds) == (False, (0, 1))
    slow = metrics({"likeness": {"function": "acme.slow:likeness"}}, acme)
    assert scored(slow, CHAT, CHAT.references[0])[0] == {"likeness": 1.0}


def test_the_message_of_the_page_is_the_one_shown(acme: Path) -> None:
    _, unscored = scored(built(acme, "repetition"), Example("c042", CHAT.input, ()), "Anna")
    assert unscored["names_kept"].endswith("IndexError: tuple index out of range (sample c042)")
    assert f"`{unscored['names_kept']}`" in PAGE


def test_the_japanese_tokenizer_of_the_page_makes_words(acme: Path) -> None:
    pytest.importorskip("fugashi")
    pytest.importorskip("unidic_lite")
    own = built(acme, "acme.japanese")
    for text in JAPANESE:
        assert scored(own, Example(references=(text,)), text)[0] == {"rouge1": 1.0, "rougeL": 1.0}
    # アンナ が ケーキ を 持っ て くる against ベン が ケーキ を 持っ て くる: six of seven words.
    scores, _ = scored(own, Example(references=(JAPANESE[1],)), "ベンがケーキを持ってくる。")
    assert scores == pytest.approx({"rouge1": 6 / 7, "rougeL": 6 / 7})
    assert check_references(own, [Example(references=(text,)) for text in JAPANESE]) == []


def test_figures_of_what_rouge_cannot_see_are_computed() -> None:
    header = PAGE[PAGE.index('| against "') :].split("\n")[0]
    reference = header.split('"')[1]
    table = rows("against")
    assert len(table) == 3
    for answer, rouge1, rouge_l in table:
        assert [f"{score(name, answer, reference):.3f}" for name in ("rouge1", "rougeL")] == [rouge1, rouge_l]


def test_tokens_of_the_table_of_scripts_are_computed() -> None:
    table = rows("script")
    assert len(table) == 4
    for _, _, example, tokens in table:
        assert unicode_words(example.strip("`")) == re.findall(r"`([^`]+)`", tokens)


def test_the_table_of_metrics_names_every_built_in_one_and_its_direction() -> None:
    named = {name: row for row in rows("metric") for name in re.findall(r"^`(\w+)`|`(rouge9)`", row[0])}
    directions = {next(filter(None, name)): row[3] for name, row in named.items()}
    assert set(directions) | {f"rouge{n}" for n in range(2, 9)} == set(METRICS)
    every = metrics({name: {} for name in directions})
    assert directions == {name: "higher" if metric.higher_is_better else "lower" for name, metric in every.items()}
    assert all(f"`{name}`" in PAGE.rsplit("nor of a key", 1)[1] for name in TAKEN)
