"""ROUGE scores against values computed by hand: twice the overlap over the lengths of both texts."""

import pytest
from evaltape.scoring.rouge import lead, package, scorer

from tests.support.project import ROUGE1, ROUGE2, ROUGEL, ROWS

METRICS = ("rouge1", "rouge2", "rougeL")


@pytest.mark.parametrize("n", range(len(ROWS)), ids=[row["id"] for row in ROWS])
def test_scores_are_those_computed_by_hand(n: int) -> None:
    prediction = ROWS[n]["dialogue"].split("\n")[0]
    scores = scorer(METRICS, stemmer=False)(ROWS[n]["summary"], prediction)
    wanted = {"rouge1": ROUGE1[n], "rouge2": ROUGE2[n], "rougeL": ROUGEL[n]}
    assert scores == pytest.approx(wanted, rel=1e-12, abs=0)


def test_a_stemmer_changes_the_score() -> None:
    reference, prediction = "Gus brings bread", "Gus: bring bread bread bread"
    assert scorer(("rouge1",), stemmer=True)(reference, prediction)["rouge1"] == pytest.approx(2 * 3 / 8)
    assert scorer(("rouge1",), stemmer=False)(reference, prediction)["rouge1"] == pytest.approx(2 * 2 / 8)


def test_the_order_of_reference_and_prediction_does_not_matter_for_f1_of_rouge_1() -> None:
    score = scorer(("rouge1",), stemmer=False)
    assert score("a b c d", "a b") == score("a b", "a b c d")


def test_case_and_punctuation_do_not_count() -> None:
    assert scorer(METRICS, stemmer=False)("We WON!", "we won")["rouge2"] == 1.0


def test_a_text_without_latin_letters_scores_0_against_itself() -> None:
    # The tokeniser of rouge_score keeps a-z and 0-9 only: a limit that the documentation states.
    assert scorer(("rouge1",), stemmer=False)("привет", "привет")["rouge1"] == 0.0


def test_the_lead_is_the_first_three_lines() -> None:
    assert lead("a\nb\nc\nd") == "a\nb\nc"
    assert lead("a") == "a"


def test_the_package_is_named_with_its_version() -> None:
    assert package().startswith("rouge_score 0.")
