"""The facts that the data card of `evals/data/chats` states about the embedded conversations.

Counts, fields, ids, people, turns and their form, and that no two rows are near-duplicates: for every pair, within and
across splits, the share of the smaller row's word 5-grams that the other row holds too (their containment) stays under
`MAX_CONTAINMENT`, and no two rows share a run of `MAX_RUN` words. Speakers' names, case and punctuation don't count.
An inverted index of n-grams finds the pairs, so no pair without a common n-gram is ever looked at.
"""

import itertools
import json
import re
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "evals" / "data" / "chats"
SPLITS = {"train": ("t", 300), "validation": ("c", 200), "test": ("e", 60)}
FIELDS = ["id", "dialogue", "summary"]
MAX_CONTAINMENT = 0.2
MAX_RUN = 8

Row = dict[str, str]
Gram = tuple[str, ...]


@cache
def lines(split: str) -> tuple[str, ...]:
    """The lines of a split; split at \\n only, as json lines are."""
    text = (FOLDER / f"{split}.jsonl").read_text(encoding="utf-8")
    assert text.endswith("\n")
    return tuple(text[:-1].split("\n"))


@cache
def rows() -> tuple[Row, ...]:
    """Every row of every split."""
    return tuple(json.loads(line) for split in SPLITS for line in lines(split))


def turns(row: Row) -> list[tuple[str, str]]:
    """The turns of a row as (name, text)."""
    return [(name, text) for name, _, text in (turn.partition(": ") for turn in row["dialogue"].split("\n"))]


def words(row: Row, field: str) -> list[str]:
    """The words of a field without speakers' names, case and punctuation."""
    text = " ".join(text for _, text in turns(row)) if field == "dialogue" else row[field]
    return re.findall(r"\w+(?:'\w+)?", text.casefold().replace("\u2019", "'"))


def grams(row: Row, field: str, size: int) -> set[Gram]:
    """The distinct n-grams of a field; a text shorter than n words is one gram."""
    found = words(row, field)
    return {tuple(found[start : start + size]) for start in range(max(1, len(found) - size + 1))}


def common(field: str, size: int) -> list[tuple[float, str, str]]:
    """Every pair of rows with an n-gram in common: the containment and both ids, largest first."""
    sets = [grams(row, field, size) for row in rows()]
    index: defaultdict[Gram, list[int]] = defaultdict(list)
    for position, found in enumerate(sets):
        for gram in found:
            index[gram].append(position)
    shared = Counter(pair for holders in index.values() for pair in itertools.combinations(holders, 2))
    return sorted(
        (
            (count / min(len(sets[one]), len(sets[two])), rows()[one]["id"], rows()[two]["id"])
            for (one, two), count in shared.items()
        ),
        reverse=True,
    )


@pytest.mark.parametrize("split", SPLITS)
def test_split_has_its_rows(split: str) -> None:
    prefix, count = SPLITS[split]
    read = [json.loads(line) for line in lines(split)]
    assert [row["id"] for row in read] == [f"{prefix}{number:03d}" for number in range(1, count + 1)]


@pytest.mark.parametrize("split", SPLITS)
def test_rows_are_written_in_one_way(split: str) -> None:
    for line in lines(split):
        row = json.loads(line)
        assert list(row) == FIELDS
        assert all(isinstance(text, str) and text and text == text.strip() for text in row.values()), row["id"]
        assert json.dumps(row, ensure_ascii=False) == line


def test_ids_are_unique() -> None:
    assert len({row["id"] for row in rows()}) == len(rows()) == 560


def test_turns_name_their_speaker() -> None:
    for row in rows():
        for turn in row["dialogue"].split("\n"):
            assert re.fullmatch(r"[^\W\d_][\w.' -]{0,29}: \S(?:.*\S)?", turn), (row["id"], turn)
            assert not re.search(r"[\t\r\v\f\x85\u2028\u2029]|  ", turn), (row["id"], turn)


def test_people_and_turns() -> None:
    for row in rows():
        people = {name for name, _ in turns(row)}
        assert 2 <= len(people) <= 5, row["id"]
        assert 3 <= len(turns(row)) <= 30, row["id"]


def test_summaries_are_one_line() -> None:
    for row in rows():
        assert re.fullmatch(r"[^\n\t]+[.]", row["summary"]), row["id"]
        assert 4 <= len(row["summary"].split()) <= 60, row["id"]


@pytest.mark.parametrize("field", ["dialogue", "summary"])
def test_no_two_texts_are_equal(field: str) -> None:
    counts = Counter(" ".join(words(row, field)) for row in rows())
    assert [text for text, count in counts.items() if count > 1] == []


def test_no_two_rows_have_the_same_people() -> None:
    counts = Counter(frozenset(name for name, _ in turns(row)) for row in rows())
    assert [sorted(people) for people, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("field", ["dialogue", "summary"])
def test_no_near_duplicates(field: str) -> None:
    assert [pair for pair in common(field, 5) if pair[0] > MAX_CONTAINMENT] == []


@pytest.mark.parametrize("field", ["dialogue", "summary"])
def test_no_common_run_of_words(field: str) -> None:
    assert common(field, MAX_RUN) == []


def test_card_shows_a_real_row() -> None:
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    shown = [line for line in card.split("\n") if line.startswith('{"id"')]
    assert len(shown) == 1
    assert shown[0] in lines("validation")
