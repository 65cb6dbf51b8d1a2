"""The words for what became of an assertion: the only place that spells them."""

from typing import Final, Literal

Verdict = Literal["passed", "failed", "inconclusive", "not checked"]

PASSED: Final = "passed"
FAILED: Final = "failed"
INCONCLUSIVE: Final = "inconclusive"
NOT_CHECKED: Final = "not checked"


def verdict_on(passed: bool | None) -> Verdict:
    """Return the verdict on an assertion that passed or failed; None: no test of this session decided it."""
    if passed is None:
        return NOT_CHECKED
    return PASSED if passed else FAILED
