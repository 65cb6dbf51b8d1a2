"""Whether the tokenizers of a suite's metrics can read its references at all.

ROUGE's own tokenizer keeps a-z and 0-9 only: an answer in Japanese that repeats its reference letter by letter scores 0, and
`größe` counts as `gr` and `e`. A mean over such samples is a number that means nothing, so it is refused before it exists.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from evaltape.errors import UserError
from evaltape.metrics.metric import Metric
from evaltape.metrics.rouge import Words
from evaltape.metrics.scorers import FunctionError
from evaltape.samples.sample import Sample
from evaltape.suite.metric_tables import Rouge
from evaltape.text import counted, cut, visible

OWN = ("rouge", "unicode")
"""The tokenizers that are built in."""
MOSTLY = 0.5
"""A reference is lost if more than this share of its letters and digits is dropped."""
MOST_LOST = 0.05
"""More lost samples than this share of all are an error; they would draw the mean down by up to as much."""
WORTH_A_NOTE = 0.005
"""Dropped letters over this share of all are a note: a German text has more, an English text with a café in it fewer."""
MOST_TRIED = 100
"""References that a tokenizer of the user's is tried on; it may be slow."""
_UNSPACED = (
    ("\u3040", "\u30ff"),  # Hiragana, Katakana
    ("\u3400", "\u9fff"),  # Han
    ("\u0e00", "\u0eff"),  # Thai, Lao
    ("\u1000", "\u109f"),  # Burmese
    ("\u1780", "\u17ff"),  # Khmer
)
"""Letters of scripts that put no spaces between words."""


def check_references(metrics: Mapping[str, Metric], samples: Sequence[Sample]) -> list[str]:
    """Return notes on references that a metric's tokenizer reads badly.

    Raises `UserError`, naming the option, if the references of more than 1 sample in 20 lose most of their letters to it.
    """
    notes = []
    groups: dict[str, list[Metric]] = defaultdict(list)
    for metric in metrics.values():
        if isinstance(metric.table, Rouge):
            groups[metric.table.tokenizer].append(metric)
    for tokenizer, group in groups.items():
        names, words = ", ".join(metric.name for metric in group), group[0].words
        assert words is not None
        reading = _read(tokenizer, samples) if tokenizer in OWN else _tried(tokenizer, words, samples)
        if reading.lost and len(reading.lost) > MOST_LOST * reading.samples:
            raise UserError(f"{group[0].place} {names}: {visible(reading.refusal)}")
        if reading.lost or reading.dropped.total() > WORTH_A_NOTE * reading.letters:
            notes.append(f"{names}: {reading.note}")
    return list(map(visible, notes + _unspaced_bleu(metrics, samples)))


class _Reading(msgspec.Struct):
    """How a tokenizer reads the references of all samples."""

    tokenizer: str
    samples: int
    letters: int
    """Letters and digits of all references."""
    dropped: Counter[str]
    """The letters and digits outside every token."""
    lost: dict[str, str]
    """Samples with a reference that loses most of its letters: their ids, each with the first such reference."""
    reason: str = ""
    """Of a user's tokenizer: its first error."""

    @property
    def refusal(self) -> str:
        """The fault, and the option that mends it."""
        first, reference = next(iter(self.lost.items()))
        return self._told(f', so a perfect answer would score near 0 (sample {first}: "{cut(reference, 40)}")')

    @property
    def note(self) -> str:
        """The loss, in a line, and the option that avoids it."""
        first = next(iter(self.lost), None)
        if not self.dropped:
            return self._told(f" (first: {first})")
        letters = ", ".join(letter for letter, _ in self.dropped.most_common(5))
        lost = f"; {counted(len(self.lost), 'sample')} can't be scored so (first: {first})" if self.lost else ""
        return (
            f'tokenizer = "rouge" keeps a-z and 0-9 only: {self.dropped.total():,} of {counted(self.letters, "letter")} in the '
            f"references are dropped ({letters}) and their words split{lost}. {self._advice}"
        )

    def _told(self, consequence: str) -> str:
        keeps = ", which keeps a-z and 0-9 only" if self.tokenizer == "rouge" else self.reason and f" ({self.reason})"
        lost = f"the references of {len(self.lost)} of {counted(self.samples, 'sample')}"
        what = "are dropped wholly or mostly" if self.tokenizer in OWN else "give no tokens"
        return f'tokenizer = "{self.tokenizer}"{keeps}: {lost} {what}{consequence}. {self._advice}'

    @property
    def _advice(self) -> str:
        if self.dropped:
            return 'Every script is kept by tokenizer = "unicode", or by a function of your own ("module:function")'
        if self.tokenizer in OWN:
            return "References without letters and digits can be compared by exact, or by a tokenizer of your own"
        return "It takes a text and returns the list of its tokens"


def _read(tokenizer: str, samples: Sequence[Sample]) -> _Reading:
    """Count the letters that a tokenizer of Evaltape's own drops, without tokenizing."""
    reading = _Reading(tokenizer, len(samples), 0, Counter(), {})
    for sample in samples:
        for reference in sample.references:
            letters = sum(map(str.isalnum, reference))
            is_kept = tokenizer == "unicode" or reference.isascii()
            dropped = [] if is_kept else [it for it in reference if it.isalnum() and not it.lower().isascii()]
            reading.letters += letters
            reading.dropped.update(dropped)
            if len(dropped) > MOSTLY * letters or not letters:
                reading.lost.setdefault(sample.id, reference)
    return reading


def _tried(tokenizer: str, words: Words, samples: Sequence[Sample]) -> _Reading:
    """Try a user's tokenizer on the first samples; it may drop letters as it likes, as long as it keeps some."""
    reading = _Reading(tokenizer, min(len(samples), MOST_TRIED), 0, Counter(), {})
    for sample in samples[:MOST_TRIED]:
        for reference in sample.references:
            try:
                tokens = words(reference)
            except FunctionError as error:
                tokens, reading.reason = [], reading.reason or str(error)
            if not tokens:
                reading.lost.setdefault(sample.id, reference)
    return reading


def _unspaced_bleu(metrics: Mapping[str, Metric], samples: Sequence[Sample]) -> list[str]:
    """Return a note if BLEU, which splits words at spaces, is to compare texts without spaces."""
    unspaced = [sample for sample in samples if any(map(_is_unspaced, sample.references))] if "bleu" in metrics else []
    if not unspaced:
        return []
    return [
        f"bleu: its tokenizer (13a) splits words at spaces, which the references of {counted(len(unspaced), 'sample')} do "
        f"without (first: {unspaced[0].id}): whole sentences count as one word. chrf compares characters"
    ]


def _is_unspaced(text: str) -> bool:
    letters = [character for character in text if character.isalnum()]
    return sum(any(low <= character <= high for low, high in _UNSPACED) for character in letters) > MOSTLY * len(letters)
