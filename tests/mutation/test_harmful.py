"""What each operator that harms makes of an answer."""

from random import Random

import pytest
from evaltape.mutation import operators
from evaltape.mutation.texts import with_wrong_number

from tests.mutation.samples import DIALOGUES, SIX, Sample, all_damages, damage, damaged

ANN_BOB = "Ann: hi\nBob: hi"


def test_swap_names_swaps_two_speakers() -> None:
    assert damaged("swap_names") == {
        "lift": "Ann will drive Bob on Friday.",
        "keys": "Carla doesn't have Dev's keys.",
        "cake": "Hana baked two cakes for Gus",
    }


def test_swap_names_leaves_out_an_answer_where_that_only_reorders_a_list() -> None:
    assert damage("swap_names", "Ann and Bob met.", ANN_BOB) is None
    assert damage("swap_names", "Ann and Bob met. Ann left.", ANN_BOB) == "Bob and Ann met. Bob left."


def test_swap_names_of_three_finds_the_two_that_matter() -> None:
    dialogue, answer = "Ann: a\nBob: b\nCy: c", "Ann and Bob visit Cy."
    sample = Sample("s", dialogue)
    assert all_damages(operators.swap_names, sample, answer) == {"Cy and Bob visit Ann.", "Ann and Cy visit Bob."}


def test_other_name_puts_in_a_speaker_of_another_sample() -> None:
    mutants = damaged("other_name")
    assert mutants.keys() == DIALOGUES.keys() - {"memo"}
    everyone = {"Ann", "Bob", "Carla", "Dev", "Emil", "Fay", "Gus", "Hana", "Ida"}
    strangers = everyone - {"Ida"}
    assert mutants["rain"] in {f"{name} complains of the rain." for name in strangers}
    strangers = everyone - {"Ann", "Bob"}
    possible = {
        text for name in strangers for text in (f"{name} will drive Ann on Friday.", f"Bob will drive {name} on Friday.")
    }
    assert mutants["lift"] in possible


def test_other_name_takes_a_common_name_if_no_other_sample_has_a_speaker() -> None:
    sample = Sample("s", ANN_BOB)
    answers = [(sample, "Ann left.")]
    assert operators.other_name(sample, "Ann left.", Random(1), answers) == "Robin left."
    known = Sample("s", f"{ANN_BOB}\nAnn: where is Robin?")
    assert operators.other_name(known, "Ann left.", Random(1), answers) == "Alex left."


def test_negate_turns_the_first_statement_round() -> None:
    assert damaged("negate") == {
        "lift": "Bob will not drive Ann on Friday.",
        "keys": "Dev does have Carla's keys.",
        "film": "Emil and Fay never meet at 17:30.",
        "cake": "Gus never baked two cakes for Hana",
        "rain": "Ida never complains of the rain.",
    }


@pytest.mark.parametrize(
    ("answer", "negated"),
    [
        ("She can't come.", "She can come."),
        ("Won't Ann come?", "Will Ann come?"),
        ("They cannot come.", "They can come."),
        ("Ann isn’t here.", "Ann is here."),
        ("Ann is no longer here.", "Ann is here."),
        ("There was no sex.", "There was sex."),
        ("Ann has left.", "Ann has not left."),
        ("Ann has a car.", "Ann never has a car."),
        ("Ann never calls.", "Ann calls."),
        ("Ann would never call.", "Ann would call."),
        ("Ann would've called.", "Ann never would've called."),
        ("Ann and Bob met Cy today.", "Ann and Bob never met Cy today."),
        ("In May she left. She was ill.", "In May she left. She was not ill."),
        ("He called. Ann paid.", "He never called. Ann paid."),
        ("Ann is ill and isn't coming.", "Ann is not ill and isn't coming."),
    ],
)
def test_negate_knows_auxiliaries_contractions_and_subjects(answer: str, negated: str) -> None:
    assert damage("negate", answer, f"{ANN_BOB}\nCy: hi") == negated


@pytest.mark.parametrize("answer", ["A party on Friday.", "Will's car", "太郎は花子に電話する。", "Robin calls Ann late."])
def test_negate_leaves_out_what_its_rules_do_not_cover(answer: str) -> None:
    assert damage("negate", answer, ANN_BOB) is None


def test_wrong_number_changes_a_day_a_time_or_a_number() -> None:
    mutants = damaged("wrong_number")
    weekdays = ("Monday", "Tuesday", "Wednesday", "Thursday", "Saturday", "Sunday")
    assert mutants.pop("lift") in {f"Bob will drive Ann on {day}." for day in weekdays}
    assert mutants.pop("film") in {f"Emil and Fay meet at {hour}:30." for hour in range(24) if hour != 17}
    numbers = ("three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
    assert mutants.pop("cake") in {f"Gus baked {number} cakes for Hana" for number in numbers}
    assert mutants == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("in 2019", {f"in 201{digit}" for digit in range(1, 9)}),
        ("100 people", {f"{digit}00 people" for digit in range(2, 10)}),
        ("3.50 euros", {f"{digit}.50 euros" for digit in (1, 2, 4, 5, 6, 7, 8, 9)}),
        ("at 11.30", {f"at {hour}.30" for hour in range(10, 24) if hour != 11}),
        ("3.80 euros", {f"3.{digit}0 euros" for digit in (1, 2, 3, 4, 5, 6, 7, 9)}),
        ("0.50 or", {f"{digit}.50 or" for digit in range(1, 10)}),
        ("the 2nd", {"the 1st", "the 3rd", *(f"the {digit}th" for digit in range(4, 10))}),
        ("the 12th", {"the 11th", *(f"the {number}th" for number in range(13, 20))}),
        ("0 points", {f"{digit} points" for digit in range(1, 10)}),
        ("at 5 pm", {f"at {hour} pm" for hour in range(1, 13) if hour != 5}),
        ("at 5.15 p.m.", {f"at {hour}.15 p.m." for hour in range(1, 13) if hour != 5}),
        ("at 08:30", {f"at {hour:02d}:30" for hour in range(1, 13) if hour != 8}),
        ("at 00:30", {f"at {hour:02d}:30" for hour in range(1, 24)}),
        ("午後٣時", {f"午後{digit}時" for digit in "١٢٤٥٦٧٨٩"}),
        ("on fridays", {f"on {day}s" for day in ("monday", "tuesday", "wednesday", "thursday", "saturday", "sunday")}),
        ("Tomorrow", {"Yesterday", "Today", "Tonight"}),
    ],
)
def test_wrong_number_keeps_the_form(text: str, expected: set[str]) -> None:
    assert all_damages(with_wrong_number, text) == expected


def test_wrong_number_changes_one_of_several() -> None:
    hours = {f"{hour} pm or 9 pm" for hour in range(1, 13) if hour != 8}
    others = {f"8 pm or {hour} pm" for hour in range(1, 13) if hour != 9}
    mutants = all_damages(with_wrong_number, "8 pm or 9 pm")
    assert mutants <= hours | others
    assert mutants & hours
    assert mutants & others


@pytest.mark.parametrize("text", ["the one who called", "R2D2 and covid19", "a second chance", "", "often"])
def test_wrong_number_leaves_other_words_alone(text: str) -> None:
    assert all_damages(with_wrong_number, text) == {None}


def test_drop_half_keeps_the_first_half_of_the_words() -> None:
    assert damaged("drop_half") == {
        "lift": "Bob will drive",
        "keys": "Dev doesn't have",
        "film": "Emil and Fay",
        "cake": "Gus baked two",
        "rain": "Ida complains of",
        "memo": "Everybody works",
    }


@pytest.mark.parametrize(("answer", "half"), [("太郎は来る", "太郎は"), ("  a\n b  c", "  a\n b"), ("Yes.", None), ("", None)])
def test_drop_half_of_text_without_spaces_keeps_half_the_characters(answer: str, half: str | None) -> None:
    assert damage("drop_half", answer) == half


def test_other_sample_gives_the_answer_to_another_sample() -> None:
    mutants = damaged("other_sample")
    assert mutants.keys() == DIALOGUES.keys()
    for name, mutant in mutants.items():
        assert mutant in {answer for other, (_, answer) in DIALOGUES.items() if other != name}


def test_other_sample_does_not_apply_if_all_answers_are_alike() -> None:
    answers = [(sample, "Yes.") for sample in SIX]
    assert operators.other_sample(SIX[0], "Yes.", Random(1), answers) is None


def test_first_lines_gives_three_lines_of_the_input() -> None:
    assert damage("first_lines", "x", "Ann: a\nBob: b\nAnn: c\nBob: d") == "Ann: a\nBob: b\nAnn: c"
    assert damaged("first_lines")["memo"] == "The office is closed.\nPlease work from home."
    assert damage("first_lines", "x", " \n") is None


def test_refusal_refuses() -> None:
    assert set(damaged("refusal").values()) == {"I'm sorry, but I can't help with that."}
    assert damage("refusal", operators.REFUSAL) is None


def test_repeat_says_everything_twice() -> None:
    assert damaged("repeat")["rain"] == "Ida complains of the rain. Ida complains of the rain."
    assert damaged("repeat").keys() == DIALOGUES.keys()
