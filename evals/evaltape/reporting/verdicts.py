"""What became of a test that stands for no bound, in the words of a decision."""

from evaltape.scoring.bounds import FAILED, INCONCLUSIVE, NOT_CHECKED, PASSED, Verdict

__all__ = ["FAILED", "INCONCLUSIVE", "NOT_CHECKED", "PASSED", "Verdict", "verdict_on"]


def verdict_on(passed: bool | None) -> Verdict:
    """Return the verdict on an assertion that passed or failed; None: no test of this session decided it."""
    if passed is None:
        return NOT_CHECKED
    return PASSED if passed else FAILED
