"""Who speaks in a dialogue, and where an answer names them."""

import re

import pytest
from evaltape.mutation.texts import mentioned, renamed, same_in_any_order, speakers
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("dialogue", "names"),
    [
        ("Ann: hi\nBob: hello\nAnn: bye", ("Ann", "Bob")),
        ("  Mr. Smith: hi\r\nMary-Jane O'Neil: hello", ("Mr. Smith", "Mary-Jane O'Neil")),
        ("#Person1#: hi\n@bob_7: hello\nluca: ciao", ("#Person1#", "@bob_7", "luca")),
        ("Лена: привет\n太郎：おはよう\nमीना: नमस्ते\nسارة: مرحبا", ("Лена", "太郎", "मीना", "سارة")),
        ("Ann:\nBob:   see http://a.b: nice", ("Ann", "Bob")),
    ],
)
def test_a_name_and_a_colon_at_the_start_of_a_line_is_a_speaker(dialogue: str, names: tuple[str, ...]) -> None:
    assert speakers(dialogue) == names


@pytest.mark.parametrize(
    "text",
    ["http://example.org", "12:30 works", "We agreed, finally: it is over", "what I really want to say: no", "Hi! Ann: x", ""],
)
def test_other_text_before_a_colon_is_no_speaker(text: str) -> None:
    assert speakers(text) == ()


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("Ann's car, Ann, (Ann) and “Ann”.", "Tom's car, Tom, (Tom) and “Tom”."),
        ("Anna and Joann called Annie; ann too", None),
        ("Mary-Ann and Ann-Marie", None),
        ("Ann_1 or 2Ann", None),
        ("l'appel d'Ann", "l'appel d'Tom"),
        ("Ann – and Ann-", "Tom – and Tom-"),
        ("A\u0301nn Ann\u0301", None),  # With accents as characters of their own these are other names.
    ],
)
def test_a_name_is_replaced_as_a_whole_word_only(text: str, new: str | None) -> None:
    assert renamed(text, {"Ann": "Tom"}) == (new or text)


@pytest.mark.parametrize(
    ("text", "name", "new"),
    [
        ("太郎は花子に電話する", "太郎", "Xは花子に電話する"),
        ("李明说他会来", "李明", "X说他会来"),
        ("민수가 전화한다", "민수", "X가 전화한다"),
        ("ハナコさんとハナ", "ハナ", "ハナコさんとX"),
        ("สมโทรหา สมิ", "สม", "Xโทรหา สมิ"),
        ("मीना और मीनाक्षी", "मीना", "X और मीनाक्षी"),
        ("Лена и Леночка", "Лена", "X и Леночка"),
    ],
)
def test_names_of_any_script_are_replaced(text: str, name: str, new: str) -> None:
    assert renamed(text, {name: "X"}) == new


def test_the_longest_name_counts() -> None:
    names = {"Ann": "1", "Ann Lee": "2"}
    assert renamed("Ann Lee called Ann", names) == "2 called 1"


def test_names_are_replaced_at_once_and_not_one_after_the_other() -> None:
    assert renamed("Ann calls Bob, Bob waits", {"Ann": "Bob", "Bob": "Ann"}) == "Bob calls Ann, Ann waits"


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("James' car", "Ann's car"),
        ("the car is James’.", "the car is Ann’s."),
        ("'James' is a name", "'Ann' is a name"),
        ("James's car", "Ann's car"),
    ],
)
def test_a_bare_possessive_gets_its_s(text: str, new: str) -> None:
    assert renamed(text, {"James": "Ann"}) == new


def test_a_name_that_ends_in_s_needs_no_further_s() -> None:
    assert renamed("James' car", {"James": "Lars"}) == "Lars' car"


def test_names_are_listed_in_order_of_mention() -> None:
    assert mentioned("Bob and Ann, then Bob; Carlo", ("Ann", "Bob", "Carl")) == ["Bob", "Ann"]
    assert mentioned("Bob", ()) == []


@pytest.mark.parametrize(
    ("text", "other", "same"),
    [
        ("Ann and Bob met", "Bob and Ann met", True),
        ("Ann, Bob and Cy met", "Cy, Bob and Ann met", True),
        ("Ann & Bob met, Cy left", "Bob & Ann met, Cy left", True),
        ("Ann und Bob kommen", "Bob und Ann kommen", True),
        ("Ann called Bob", "Bob called Ann", False),
        ("Ann and Bob met at Ann's", "Bob and Ann met at Bob's", False),
    ],
)
def test_the_order_in_a_list_of_names_makes_no_difference(text: str, other: str, same: bool) -> None:
    assert same_in_any_order(text, other, ("Ann", "Bob", "Cy")) is same


@given(st.text(alphabet="AnnBob -'’.,\u0301é太", max_size=40))
def test_swapping_twice_gives_the_text_back(text: str) -> None:
    swap = {"Ann": "Bob", "Bob": "Ann"}
    assert renamed(renamed(text, swap), swap) == text


@given(st.text(alphabet="Ann bx_-1", max_size=40))
def test_of_latin_text_what_a_regular_expression_calls_a_word_is_replaced(text: str) -> None:
    assert renamed(text, {"Ann": "Tom"}) == re.sub(r"(?<!\w)(?<!\w-)Ann(?!-?\w)", "Tom", text)
