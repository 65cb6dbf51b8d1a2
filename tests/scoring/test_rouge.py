"""ROUGE scores against values computed by hand: twice the overlap over the lengths of both texts."""

from itertools import product

import pytest
from evaltape.metrics.rouge import common_subsequence, lead, package, rouge, words_by
from evaltape.samples.sample import Answer, Sample
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from tests.support.project import ROUGE1, ROUGE2, ROUGEL, ROWS

METRICS = ("rouge1", "rouge2", "rougeL")


def score(reference: str, answer: str, *metrics: str, stemmer: bool = False) -> dict[str, float]:
    """Return the scores of an answer beside one reference."""
    words = words_by("rouge", stemmer)
    return {name: rouge(Sample("s", "", (reference,)), Answer(answer), name, words) for name in metrics or METRICS}


@pytest.mark.parametrize("n", range(len(ROWS)), ids=[row["id"] for row in ROWS])
def test_scores_are_those_computed_by_hand(n: int) -> None:
    prediction = ROWS[n]["dialogue"].split("\n")[0]
    scores = score(ROWS[n]["summary"], prediction)
    wanted = {"rouge1": ROUGE1[n], "rouge2": ROUGE2[n], "rougeL": ROUGEL[n]}
    assert scores == pytest.approx(wanted, rel=1e-12, abs=0)


def test_a_stemmer_changes_the_score() -> None:
    reference, prediction = "Gus brings bread", "Gus: bring bread bread bread"
    assert score(reference, prediction, stemmer=True)["rouge1"] == pytest.approx(2 * 3 / 8)
    assert score(reference, prediction)["rouge1"] == pytest.approx(2 * 2 / 8)


def test_the_order_of_reference_and_prediction_does_not_matter_for_f1_of_rouge_1() -> None:
    assert score("a b c d", "a b", "rouge1") == score("a b", "a b c d", "rouge1")


def test_case_and_punctuation_do_not_count() -> None:
    assert score("We WON!", "we won")["rouge2"] == 1.0


def test_a_text_without_latin_letters_scores_0_against_itself() -> None:
    # The tokeniser of rouge_score keeps a-z and 0-9 only: a limit that the documentation states.
    assert score("привет", "привет")["rouge1"] == 0.0


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abcd")))
def test_the_longest_subsequence_is_that_of_a_table_of_all_pairs_of_words(one: list[str], other: list[str]) -> None:
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, j in product(range(len(one)), range(len(other))):
        table[i + 1][j + 1] = table[i][j] + 1 if one[i] == other[j] else max(table[i][j + 1], table[i + 1][j])
    assert common_subsequence(one, other) == table[-1][-1]


@given(st.text("ab c.é1"), st.text("ab c.é1"), st.booleans())
def test_all_scores_are_those_of_rouge_score_to_the_last_digit(reference: str, answer: str, stemmer: bool) -> None:
    theirs = RougeScorer(list(METRICS), use_stemmer=stemmer).score(reference, answer)
    assert score(reference, answer, stemmer=stemmer) == {name: theirs[name].fmeasure for name in METRICS}


def test_texts_of_thousands_of_words_are_scored_in_one_pass() -> None:
    words = [f"w{n % 977}" for n in range(20_000)]
    assert common_subsequence(words, words[::2]) == 10_000


def test_the_lead_is_the_first_three_lines() -> None:
    assert lead("a\nb\nc\nd") == "a\nb\nc"
    assert lead("a") == "a"


def test_the_package_is_named_with_its_version() -> None:
    assert package().startswith("rouge_score 0.")
