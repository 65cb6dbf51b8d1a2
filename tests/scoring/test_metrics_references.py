"""References that a tokenizer can't read are refused before there is a score, or noted."""

from pathlib import Path

import pytest
from evaltape.errors import UserError
from evaltape.metrics.reference_check import check_references

from tests.scoring.test_metrics_tokenizers import JAPANESE
from tests.support.metrics import Example, metrics

ENGLISH = [Example(f"e{n}", references=(f"Anna brings {n} cakes to the party.",)) for n in range(100)]
IN_JAPANESE = [Example(f"j{n}", references=(text,)) for n, text in enumerate(JAPANESE, 1)]
DEFAULT = {"rouge1": {}, "rouge2": {}, "rougeL": {"stemmer": True}}


def refusal(table: dict[str, dict[str, str]], samples: list[Example], root: Path = Path("/nowhere")) -> str:
    with pytest.raises(UserError) as caught:
        check_references(metrics(table, root), samples)
    return str(caught.value)


def test_references_in_japanese_are_refused_by_rouges_own_tokenizer_and_the_option_is_named() -> None:
    assert refusal(DEFAULT, IN_JAPANESE) == (
        'evals/suites/chats.toml: [metrics] rouge1, rouge2, rougeL: tokenizer = "rouge", which keeps a-z and 0-9 only: the '
        "references of 10 of 10 samples are dropped wholly or mostly, so a perfect answer would score near 0 (sample j1: "
        '"会議は明日の三時に始まります。"). Every script is kept by tokenizer = "unicode", or by a function of your own '
        '("module:function")'
    )


def test_the_unicode_tokenizer_reads_them() -> None:
    assert check_references(metrics({"rouge1": {"tokenizer": "unicode"}}), IN_JAPANESE) == []


def test_only_the_metrics_that_cannot_read_them_are_named() -> None:
    table = {"rouge1": {"tokenizer": "unicode"}, "rouge2": {}, "chrf": {}, "words": {}}
    assert refusal(table, IN_JAPANESE).startswith('evals/suites/chats.toml: [metrics] rouge2: tokenizer = "rouge"')


def test_metrics_that_compare_characters_take_any_script() -> None:
    assert check_references(metrics({"chrf": {}, "exact": {}, "words": {}}), IN_JAPANESE) == []


def test_one_lost_sample_in_twenty_is_a_note_and_more_are_refused() -> None:
    assert len(check_references(metrics(DEFAULT), [*ENGLISH[:95], *IN_JAPANESE[:5]])) == 1
    assert "the references of 6 of 100 samples" in refusal(DEFAULT, [*ENGLISH[:94], *IN_JAPANESE[:6]])


def test_a_sample_is_lost_if_one_of_its_references_is() -> None:
    both = [Example("b1", references=("Anna brings a cake.", "アンナがケーキを持ってくる。"))]
    assert "the references of 1 of 1 sample are" in refusal(DEFAULT, both)


def test_some_dropped_letters_are_a_note() -> None:
    assert check_references(metrics(DEFAULT), [Example(references=("über größe",))]) == [
        'rouge1, rouge2, rougeL: tokenizer = "rouge" keeps a-z and 0-9 only: 3 of 9 letters in the references are dropped '
        '(ü, ö, ß) and their words split. Every script is kept by tokenizer = "unicode", or by a function of your own '
        '("module:function")'
    ]


def test_a_cafe_in_an_english_text_is_not_worth_a_note() -> None:
    assert check_references(metrics(DEFAULT), [*ENGLISH, Example("c1", references=("Anna waits in the café.",))]) == []


def test_lost_samples_are_named_in_the_note() -> None:
    notes = check_references(metrics(DEFAULT), [*ENGLISH, IN_JAPANESE[6]])
    assert "; 1 sample can't be scored so (first: j7)." in notes[0]


def test_references_without_a_letter_are_not_blamed_on_the_script() -> None:
    message = refusal({"rouge1": {"tokenizer": "unicode"}}, [Example(references=("👍",))])
    assert "the references of 1 of 1 sample are dropped wholly or mostly" in message
    assert message.endswith("References without letters and digits can be compared by exact, or by a tokenizer of your own")


def test_bleu_says_that_it_splits_at_spaces() -> None:
    assert check_references(metrics({"bleu": {}}), [*ENGLISH, *IN_JAPANESE]) == [
        "bleu: its tokenizer (13a) splits words at spaces, which the references of 10 samples do without (first: j1): whole "
        "sentences count as one word. chrf compares characters"
    ]
    assert check_references(metrics({"bleu": {}}), ENGLISH) == []


@pytest.fixture
def mine(root: Path) -> Path:
    (root / "tokens_of_mine.py").write_text(
        "def latin(text):\n    return [word for word in text.split() if word.isascii()]\n\n"
        "def fails(text):\n    raise LookupError('no dictionary')\n"
    )
    return root


def test_a_tokenizer_of_the_users_that_finds_no_token_is_refused(mine: Path) -> None:
    message = refusal({"rouge1": {"tokenizer": "tokens_of_mine:latin"}}, IN_JAPANESE, mine)
    assert 'tokenizer = "tokens_of_mine:latin": the references of 10 of 10 samples give no tokens, so a perfect' in message
    assert message.endswith("It takes a text and returns the list of its tokens")
    assert check_references(metrics({"rouge1": {"tokenizer": "tokens_of_mine:latin"}}, mine), ENGLISH) == []


def test_a_tokenizer_of_the_users_that_always_raises_is_refused_with_its_line(mine: Path) -> None:
    message = refusal({"rouge1": {"tokenizer": "tokens_of_mine:fails"}}, ENGLISH, mine)
    assert "(tokens_of_mine.py:5: tokens_of_mine:fails raised LookupError: no dictionary)" in message


def test_control_characters_of_a_reference_are_shown_in_messages() -> None:
    message = refusal(DEFAULT, [Example("\x1b[31m", references=("明日の\x1b[2J",))])
    assert "\x1b" not in message
    assert "\\x1b[31m" in message
