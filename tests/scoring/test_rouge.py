"""ROUGE scores against values computed by hand: twice the overlap over the lengths of both texts."""

import pytest
from evaltape.samples.sample import Sample
from evaltape.scoring.rouge import RougeScores, lead, package
from evaltape.scoring.scorer import CallFacts

from tests.support.project import ROUGE1, ROUGE2, ROUGEL, ROWS

METRICS = ("rouge1", "rouge2", "rougeL")


def score(reference: str, answer: str, *metrics: str, stemmer: bool = False) -> dict[str, float]:
    """Return the scores of an answer beside one reference."""
    rouge = RougeScores(dict.fromkeys(metrics or METRICS, "best"), stemmer=stemmer)
    return dict(rouge.score(Sample("s", "", (reference,)), answer, CallFacts()))


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


def test_the_lead_is_the_first_three_lines() -> None:
    assert lead("a\nb\nc\nd") == "a\nb\nc"
    assert lead("a") == "a"


def test_the_package_is_named_with_its_version() -> None:
    assert package().startswith("rouge_score 0.")
