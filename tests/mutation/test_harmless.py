"""What each operator that does no harm makes of an answer."""

import pytest

from tests.mutation.samples import DIALOGUES, damage, damaged


def test_preamble_announces_a_summary() -> None:
    assert damaged("preamble") == {name: f"Here is a summary:\n\n{answer}" for name, (_, answer) in DIALOGUES.items()}


def test_whitespace_doubles_the_spaces() -> None:
    assert damaged("whitespace")["rain"] == "Ida  complains  of  the  rain.\n"
    assert damage("whitespace", "太郎は来る") == "太郎は来る\n"
    assert damage("whitespace", "a  b\n") is None
    assert damage("whitespace", "- a b\n- c\u00a0d\n") == "-  a  b\n-  c\u00a0d\n"


@pytest.mark.parametrize(
    ("answer", "mutant"),
    [
        ("Ann left.", "“Ann left.”"),
        ("“Ann left.”", "Ann left."),
        ('"Ann"', "Ann"),
        ('"', '“"”'),
        ("“Yes,” said Ann. “No.”", "«“Yes,” said Ann. “No.”»"),
    ],
)
def test_quotes_puts_the_answer_in_quotation_marks_or_takes_them_away(answer: str, mutant: str) -> None:
    assert damage("quotes", answer) == mutant


def test_final_stop_drops_the_full_stop_or_adds_it() -> None:
    assert damaged("final_stop") == {
        "lift": "Bob will drive Ann on Friday",
        "keys": "Dev doesn't have Carla's keys",
        "film": "Emil and Fay meet at 17:30",
        "cake": "Gus baked two cakes for Hana.",
        "rain": "Ida complains of the rain",
        "memo": "Everybody works from home",
    }


@pytest.mark.parametrize(
    ("answer", "mutant"),
    [
        ("太郎は来る。", "太郎は来る"),
        ("太郎は来る", "太郎は来る。"),
        ("मीना आएगी", "मीना आएगी।"),
        ("Лена придёт", "Лена придёт."),
        ("Really?", None),
        ("Well...", None),
        ("", None),
    ],
)
def test_final_stop_knows_the_stops_of_other_scripts(answer: str, mutant: str | None) -> None:
    assert damage("final_stop", answer) == mutant
