"""Words of a text in any script, for ROUGE's counting and for lengths.

`unicode` splits by the default word boundaries of Unicode Standard Annex #29, as the `regex` package implements them
(https://unicode.org/reports/tr29/#Word_Boundaries), and goes a step further for scripts without spaces: Katakana, which
the annex keeps in runs, is split into characters like Han and Hiragana. Scripts with words that only a dictionary can tell
apart (Thai, Lao, Khmer, Burmese) give a token per character by the annex itself. Korean is split at its spaces.

Only the `rouge` tokenizer, which is rouge_score's own and no part of this module, is limited to a-z and 0-9.
"""

import contextlib
import os
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

_APOSTROPHES = str.maketrans({"\u2019": "'", "\u02bc": "'"})
_KATAKANA = r"\p{WB=Katakana}\p{M}*"
_WORD = rf"(?w){_KATAKANA}|(?:\b|(?<={_KATAKANA})).+?(?:\b|(?=\p{{WB=Katakana}}))"


def unicode_words(text: str) -> list[str]:
    """Return the words of a text, which hold a letter or a digit each, without case and compatibility variants.

    Texts are compared as Unicode's NFKC with case folded (full-width as plain letters, `STRASSE` as `straße`), and
    typographic apostrophes as plain ones. Punctuation, symbols and emoji are no words.

    >>> unicode_words("Über 3,5 GRÖSSEN – don’t!")
    ['über', '3,5', 'grössen', "don't"]
    >>> unicode_words("東京でケーキ")
    ['東', '京', 'で', 'ケ', 'ー', 'キ']
    """
    return [word for word in _finder()(_folded(text)) if word.isalnum() or any(map(str.isalnum, word))]


def stemmed(words: list[str]) -> list[str]:
    """Return the words with Porter's stems for English ones, as rouge_score stems: words of more than three letters a-z."""
    stem = _porter()
    return [stem(word) if len(word) > 3 and word.isascii() else word for word in words]


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", folded).translate(_APOSTROPHES)


@cache
def _finder() -> Callable[[str], list[str]]:
    import regex

    find: Callable[[str], list[str]] = regex.compile(_WORD, regex.DOTALL).findall
    return find


@contextlib.contextmanager
def a_home() -> Iterator[None]:
    """Name a home directory for a user without a home: nltk, which stems and which rouge_score imports, needs it."""
    if os.path.expanduser("~") != "~":
        yield
        return
    os.environ["HOME"] = tempfile.gettempdir()
    try:
        yield
    finally:
        del os.environ["HOME"]


@cache
def _porter() -> Callable[[str], str]:
    with a_home():
        from nltk.stem.porter import PorterStemmer

    stem: Any = PorterStemmer().stem
    return lambda word: str(stem(word))
