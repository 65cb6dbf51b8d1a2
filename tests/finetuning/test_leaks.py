"""Training rows that repeat, or that are also evaluated: found, named, refused or left out."""

import pytest
from evaltape.errors import UserError
from evaltape.finetuning.training_file import duplicates, leaks

from tests.support.project import ROWS
from tests.support.tuning import TRAINING, TuningProject

FOX = "Ann: the quick brown fox jumps over the lazy dog today"


def found(training: str, evaluated: str) -> list[str]:
    return [str(overlap) for overlap in leaks({"r1": training}, {"sample s1": evaluated})]


# ---------------------------------------------------------------- what counts as one


@pytest.mark.parametrize(
    "text",
    [FOX, FOX.upper(), "ann the quick, brown fox:\njumps over the LAZY dog -- today!"],
    ids=["itself", "case", "marks"],
)
def test_texts_of_the_same_words_are_the_same(text: str) -> None:
    assert found(text, FOX) == ["r1 is sample s1"]


def test_letters_are_compared_in_one_unicode_form() -> None:
    assert found("Zoe\u0308: cafe\u0301 au lait?", "Zo\u00eb: caf\u00e9 au lait") == ["r1 is sample s1"]
    assert found("Five: \ufb01ve", "five FIVE") == ["r1 is sample s1"]
    assert found("Otto: gro\u00df", "otto GROSS") == ["r1 is sample s1"]


def test_texts_without_words_are_the_same_only_where_they_are() -> None:
    assert found("\N{SLIGHTLY SMILING FACE}", "\N{THUMBS UP SIGN}") == []
    assert found("\N{THUMBS UP SIGN}\n", "\N{THUMBS UP SIGN}") == ["r1 is sample s1"]


def test_half_of_the_shorter_ones_5_grams_makes_two_texts_near() -> None:
    # Eleven words have seven 5-grams. The first eight keep four of them, the first seven three.
    words = FOX.split()
    assert found(" ".join(words[:8] + list("xyz")), FOX) == ["r1 shares 57% with sample s1"]
    assert found(" ".join(words[:7] + list("wxyz")), FOX) == []


def test_a_text_inside_another_is_near_it_and_not_the_same() -> None:
    assert found(f"{FOX} and tomorrow, too", FOX) == ["r1 shares 100% with sample s1"]
    assert [overlap.exact for overlap in leaks({"r1": f"{FOX} and tomorrow"}, {"s1": FOX})] == [False]


def test_each_row_is_named_once_with_the_nearest() -> None:
    evaluated = {"s1": " ".join(FOX.split()[:9]), "s2": FOX, "s3": FOX}
    training = {"r1": FOX, "r2": f"{FOX.removesuffix(' today')} and tomorrow", "r3": "Bob: no"}
    assert [str(overlap) for overlap in leaks(training, evaluated)] == ["r1 is s2", "r2 shares 100% with s1"]


def test_a_row_that_repeats_is_named_with_the_first_that_says_it() -> None:
    rows = {"r1": "Ann: hi", "r2": "Bob: ho", "r3": "ann, HI!", "r4": "ann hi"}
    assert [str(overlap) for overlap in duplicates(rows)] == ["r3 is r1", "r4 is r1"]


# ---------------------------------------------------------------- what is done about it


LEAK = {"id": "r13", "dialogue": "KAI: tea, before coffee!\nLea: no", "summary": "Tea it is."}
NEAR = {"id": "r14", "dialogue": "Gus: bring bread bread bread\nHal: ok then", "summary": "Gus wants bread."}


def test_a_leak_is_refused_with_both_rows_named(tuning: TuningProject) -> None:
    tuning.write_split("train", [*TRAINING, LEAK])
    with pytest.raises(UserError) as error:
        tuning.training_file()
    assert str(error.value) == (
        f"{tuning.suite}: [finetune.tuned] training row r13 is sample t3: a model would be tested on what it was "
        'trained on. Take such rows out of the split, or set train.leaks = "drop" to leave them out of training'
    )


def test_further_leaks_are_counted(tuning: TuningProject) -> None:
    tuning.write_split("train", [*TRAINING, LEAK, {**ROWS[0], "id": "r15"}, {**ROWS[1], "id": "r16"}])
    with pytest.raises(UserError, match=r"training row r13 is sample t3 \(and 2 further rows likewise\): "):
        tuning.training_file()


def test_leaks_can_be_left_out_of_training_and_are_counted(tuning: TuningProject) -> None:
    whole = tuning.training_file().text
    tuning.edit_suite('{ split = "train" }', '{ split = "train", leaks = "drop" }')
    tuning.write_split("train", [*TRAINING[:5], LEAK, {**ROWS[0], "id": "r15"}, *TRAINING[5:]])
    file = tuning.training_file()
    assert file.text == whole
    assert list(file.notes()) == [
        f"12 training rows, {len(file.content):,} bytes, sha256 {file.sha256[:12]}",
        "2 training rows left out, because they are evaluated, too: r13 is sample t3, r15 is sample t1",
    ]


def test_near_leaks_and_repeated_rows_are_kept_and_named_with_the_bound(tuning: TuningProject) -> None:
    tuning.write_split("train", [*TRAINING, NEAR, {**TRAINING[1], "id": "r15"}])
    file = tuning.training_file()
    assert file.rows == 14
    assert list(file.notes())[1:] == [
        "1 training row kept, though near an evaluated one (50% or more of the shorter's word 5-grams): r14 shares "
        "100% with sample t6",
        "1 training row kept, though repeating an earlier one: r15 is r2",
    ]


def test_of_many_the_first_three_are_named(tuning: TuningProject) -> None:
    tuning.write_split("train", [*TRAINING, *({**TRAINING[1], "id": f"x{n}"} for n in range(5))])
    assert list(tuning.training_file().notes())[1] == (
        "5 training rows kept, though repeating an earlier one: x0 is r2, x1 is r2, x2 is r2, ..."
    )


def test_rows_of_the_validation_split_must_not_be_trained_on_either(tuning: TuningProject) -> None:
    tuning.extend_suite('[finetune.tuned.validation]\nsplit = "held-out"\n')
    # Ids start again in each split: this row is not the sample t1.
    tuning.write_split("held-out", [{"id": "t1", "dialogue": "Pia: chess?\nQuin: sure", "summary": "They play chess."}])
    tuning.write_split("train", [*TRAINING, {"id": "t1", "dialogue": "Pia: chess? Quin: sure!", "summary": "Chess."}])
    with pytest.raises(UserError, match=r"training row t1 is validation row t1: "):
        tuning.training_file()
    tuning.write_split("train", [*TRAINING, {**ROWS[0], "id": "t9"}])
    with pytest.raises(UserError, match=r"training row t9 is sample t1: "):
        tuning.training_file()


def test_a_training_file_says_what_it_left_out(tuning: TuningProject) -> None:
    tuning.edit_suite('{ split = "train" }', '{ split = "train", leaks = "drop" }')
    tuning.write_split("train", [*TRAINING, LEAK, NEAR])
    notes = "\n".join(tuning.jobs().prepare("tuned").training.notes())
    assert "1 training row left out, because they are evaluated, too: r13 is sample t3" in notes
    assert "r14 shares 100% with sample t6" in notes
