"""Negation of an English statement by plain rules: the first auxiliary gains or loses its `not`."""

import re
from collections.abc import Sequence

from evaltape.mutation.speakers import mentions

_BE_AND_MODALS = "is|are|was|were|am|will|would|can|could|should|must|shall|might|may"
_IRREGULAR = {"won": "will", "can": "can", "shan": "shall"}
_PARTICIPLE = r"(?:been|gone|got|had|left|lost|made|met|done|told|\w+ed|\w+en)"
_AUXILIARY = re.compile(
    rf"""
    \b(?P<irregular>(?i:won|can|shan))['’]t\b | \b(?P<cannot>[Cc]an)not\b
    | \b(?P<contracted>(?i:{_BE_AND_MODALS}|do|does|did|have|has|had|need))n['’]t\b
    | \b(?P<denied>{_BE_AND_MODALS}|do|does|did|have|has|had)\s+(?:not|never|no\ longer|no)\b
    | \b(?P<plain>{_BE_AND_MODALS}|(?:have|has|had)(?=\s+{_PARTICIPLE}\b))\b(?!['’])
    | \bnever\s+
    """,
    re.VERBOSE,
)
_SUBJECTS = ("He", "She", "They", "It", "We", "You", "I")
_BEFORE_SUBJECT = re.compile(r"(?:^|[.!?\n]\s*|\band\s+)$")
_VERB = re.compile(r"\s+(?=[a-z]+\b)(?!(?:and|or|with|from|to|in|on|at|of|for|about|as|but|who|whose|that|because|so|if|when"
                   r"|while|after|before|today|tonight|tomorrow|yesterday|again|too)\b)")  # fmt: skip


def negated(text: str, speakers: Sequence[str]) -> str | None:
    """Return the text with its first statement negated, or None if the rules find nothing to negate.

    `will call` becomes `will not call`, `doesn't call` becomes `does call`; without an auxiliary the first subject (a
    speaker or a pronoun) gets a `never`: `Ann calls` becomes `Ann never calls`.
    """
    match = _AUXILIARY.search(text)
    if match is None:
        return _with_never(text, speakers)
    return text[: match.start()] + _opposite(match) + text[match.end() :]


def _opposite(match: re.Match[str]) -> str:
    groups = match.groupdict()
    if groups["plain"]:
        return f"{groups['plain']} not"
    if groups["irregular"]:
        positive = _IRREGULAR[groups["irregular"].lower()]
        return positive.capitalize() if groups["irregular"][0].isupper() else positive
    return groups["cannot"] or groups["contracted"] or groups["denied"] or ""


def _with_never(text: str, speakers: Sequence[str]) -> str | None:
    for subject in mentions(text, {*speakers, *_SUBJECTS}):
        verb = _VERB.match(text, subject.end())
        if verb and _BEFORE_SUBJECT.search(text, 0, subject.start()):
            return f"{text[: subject.end()]} never {text[verb.end() :]}"
    return None
