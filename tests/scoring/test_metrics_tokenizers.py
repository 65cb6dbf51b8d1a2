"""Words in any script: Unicode's word boundaries, with a token per character where no spaces are written."""

import doctest
import unicodedata
from pathlib import Path

import pytest
import regex
from evaltape.metrics import tokenizers
from evaltape.metrics.tokenizers import unicode_words
from hypothesis import assume, given
from hypothesis import strategies as st
from uniseg.wordbreak import words as uniseg_words

from tests.support.metrics import Example, metrics, score, scored

JAPANESE = [
    "会議は明日の三時に始まります。",
    "アンナがケーキを持ってくる。",
    "ベンは電車に乗り遅れた。",
    "来週の土曜日に海へ行く。",
    "鍵は隣の人に預けてある。",
    "新しいコーヒーメーカーを買った。",
    "彼女は金曜日まで出張中だ。",
    "試験に合格したのでお祝いする。",
    "犬の散歩は今日は兄の番だ。",
    "雨なのでピクニックは中止になった。",
]


# ---------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Über GRÖSSE", ["über", "grösse"]),
        ("STRASSE Straße", ["strasse", "strasse"]),
        ("don't don’t", ["don't", "don't"]),
        ("well-known, e.g. 3,14 or 1.000", ["well", "known", "e.g", "3,14", "or", "1.000"]),
        ("at 3:30 p.m. (foo_bar)", ["at", "3", "30", "p.m", "foo_bar"]),
        ("l'homme «aujourd’hui»", ["l'homme", "aujourd'hui"]),
        ("Привет, мир!", ["привет", "мир"]),
        ("Καλημέρα κόσμε", ["καλημέρα", "κόσμε"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("مرحبا بالعالم", ["مرحبا", "بالعالم"]),
        ("안녕하세요 세계", ["안녕하세요", "세계"]),
        ("東京でケーキ", ["東", "京", "で", "ケ", "ー", "キ"]),
        ("iPhone15を2台", ["iphone15", "を", "2", "台"]),
        ("カ_a_カタ", ["カ", "_a_", "カ", "タ"]),
        ("ภาษาไทย", ["ภ", "า", "ษ", "า", "ไ", "ท", "ย"]),
        ("ที่นี่", ["ที่", "นี่"]),
        ("ＡＢＣ ｶﾞ ①", ["abc", "ガ", "1"]),
        ("\u05f3גברת רצ\u05f3", ["\u05f3גברת", "רצ\u05f3"]),  # a letter's mark, typed as a quotation mark
        ("\u055aմեկ ௰ ౸", ["\u055aմեկ", "௰", "౸"]),  # letters of the annex and numerals beyond 0 to 9
        ("😀 👩‍👩‍👧 ♥ … _ —", []),
        ("", []),
    ],
)
def test_words_are_split_by_the_rules_of_unicode(text: str, words: list[str]) -> None:
    assert unicode_words(text) == [unicodedata.normalize("NFKC", word) for word in words]


def test_composed_and_decomposed_letters_are_the_same_words() -> None:
    assert unicode_words("café がぎ") == unicode_words(unicodedata.normalize("NFD", "café がぎ"))


@given(st.text())
def test_no_letter_or_digit_of_a_text_is_dropped(text: str) -> None:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    kept = [character for word in unicode_words(text) for character in word if character.isalnum()]
    assert kept == [character for character in folded if character.isalnum()]


def _is_katakana(text: str) -> bool:
    return any(regex.match(r"\p{WB=Katakana}", character) for character in text)


LETTERS = st.one_of(
    st.characters(exclude_categories=["Cs", "Cn", "Co"]), st.sampled_from("ab 1.,'\"_\u05d0\u05f3\u055a௰\u200d\u0301")
)


@given(st.text(LETTERS, max_size=8))
def test_words_are_those_of_another_reading_of_the_annex(text: str) -> None:
    folded = tokenizers._folded(text)
    assume(not _is_katakana(folded))  # The annex keeps it in runs.
    assert unicode_words(text) == [word for word in uniseg_words(folded) if any(map(str.isalnum, word))]


def test_letters_and_numerals_that_are_no_letters_elsewhere_can_begin_a_word() -> None:
    odd = [letter for letter in map(chr, range(0x20000)) if regex.match(r"(?!\w)[\p{WB=ALetter}\p{No}]", letter)]
    assert len(odd) > 700
    for letter in odd:
        folded = tokenizers._folded(f"{letter}ab")
        assert unicode_words(folded) == [word for word in uniseg_words(folded) if any(map(str.isalnum, word))], hex(ord(letter))


@given(st.text(st.characters(max_codepoint=127)))
def test_words_of_plain_english_do_not_depend_on_the_letters_of_another_script_beside_it(text: str) -> None:
    assert unicode_words(f"{text} é")[:-1] == unicode_words(text)


def test_the_examples_of_the_documentation_are_true() -> None:
    assert doctest.testmod(tokenizers).attempted == 2
    assert doctest.testmod(tokenizers).failed == 0


# ---------------------------------------------------------------- scores


@pytest.mark.parametrize("text", JAPANESE)
def test_a_perfect_answer_in_japanese_scores_1_by_the_unicode_tokenizer(text: str) -> None:
    table = {name: {"tokenizer": "unicode"} for name in ("rouge1", "rouge2", "rougeL", "rougeLsum")}
    scores, _ = scored(metrics(table), Example(references=(text,)), text)
    assert set(scores.values()) == {1.0}


def test_a_partly_right_answer_in_japanese_scores_its_share_of_characters() -> None:
    # 明 日 の 三 時 against 明 日 の 五 時: four of five characters, in order; pairs 明日, 日の of four.
    assert score("rouge1", "明日の五時", "明日の三時", tokenizer="unicode") == pytest.approx(4 / 5)
    assert score("rouge2", "明日の五時", "明日の三時", tokenizer="unicode") == pytest.approx(2 / 4)
    assert score("rougeL", "明日の五時", "明日の三時", tokenizer="unicode") == pytest.approx(4 / 5)


def test_a_letter_with_an_accent_is_another_word_without_it() -> None:
    assert score("rouge1", "ber gr e", "über größe") == 1.0  # what ROUGE's own tokenizer makes of it
    assert score("rouge1", "ber gr e", "über größe", tokenizer="unicode") == 0.0
    assert score("rouge1", "uber große", "über größe", tokenizer="unicode") == 0.0
    assert score("rouge1", "ÜBER GRÖSSE", "über größe", tokenizer="unicode") == 1.0


def test_english_scores_the_same_by_both_tokenizers_where_words_are_plain() -> None:
    answer, reference = "The red car won!", "the RED car won the race."
    assert (
        score("rougeL", answer, reference, tokenizer="unicode") == score("rougeL", answer, reference) == pytest.approx(8 / 10)
    )


def test_names_swapped_cost_rouge_nothing_or_little() -> None:
    told, swapped = "Anna lends Ben the tent and Ben pays Anna back.", "Ben lends Anna the tent and Anna pays Ben back."
    assert score("rouge1", swapped, told) == 1.0
    assert score("rougeL", swapped, told) == pytest.approx(6 / 10)  # lends … the tent and … pays … back
    assert score("exact", swapped, told) == 0.0


def test_the_stemmer_joins_the_forms_of_english_words_under_either_tokenizer() -> None:
    for tokenizer in ("rouge", "unicode"):
        assert score("rouge1", "Gus brings bread", "Gus bringing bread", tokenizer=tokenizer) == pytest.approx(2 / 3)
        assert score("rouge1", "Gus brings bread", "Gus bringing bread", tokenizer=tokenizer, stemmer=True) == 1.0


def test_the_stemmer_leaves_words_of_other_scripts_as_they_are() -> None:
    assert score("rouge1", "größes", "größe", tokenizer="unicode", stemmer=True) == 0.0


# ---------------------------------------------------------------- a tokenizer of the user's


@pytest.fixture
def mine(root: Path) -> Path:
    (root / "words_of_mine.py").write_text(
        "def split(text):\n    return text.split('|')\n\n"
        "def lazily(text):\n    yield from text.split('|')\n\n"
        "def joined(text):\n    return text\n\n"
        "def numbers(text):\n    return [1, 2]\n\n"
        "def fails(text):\n    return text.encode('ascii').split()\n\n"
        "def fails_late(text):\n    yield 'a'\n    raise LookupError('no dictionary')\n\n"
        "def unordered(text):\n    return {text}\n"
    )
    return root


@pytest.mark.parametrize("function", ["split", "lazily"])
def test_a_function_of_the_users_makes_the_tokens(mine: Path, function: str) -> None:
    built = metrics({"rouge1": {"tokenizer": f"words_of_mine:{function}"}}, mine)
    scores, _ = scored(built, Example(references=("A b|c d",)), "A b|c")
    assert scores == {"rouge1": 0.5}
    assert built["rouge1"].describe()["tokenizer"] == f"words_of_mine:{function}"


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("joined", "words_of_mine.py:7: words_of_mine:joined returned 'é', not a list of texts (sample s1)"),
        ("numbers", "words_of_mine.py:10: words_of_mine:numbers returned [1, 2], not a list of texts (sample s1)"),
        ("unordered", "words_of_mine.py:20: words_of_mine:unordered returned {'é'}, not a list of texts (sample s1)"),
        ("fails_late", "words_of_mine.py:18: words_of_mine:fails_late raised LookupError: no dictionary (sample s1)"),
        ("fails", "words_of_mine.py:14: words_of_mine:fails raised UnicodeEncodeError: 'ascii' codec can't encode character"),
    ],
)
def test_a_tokenizer_that_fails_leaves_the_sample_unscored_by_its_metrics(mine: Path, function: str, reason: str) -> None:
    built = metrics({"rouge1": {"tokenizer": f"words_of_mine:{function}"}, "rouge2": {}}, mine)
    scores, unscored = scored(built, Example(references=("é",)), "e")
    assert list(scores) == ["rouge2"]
    assert unscored["rouge1"].startswith(reason)
