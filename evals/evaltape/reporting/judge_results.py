"""What a session found out about judges: how many verdicts, how often they flip, and how each did in its exam."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from evaltape.reporting.verdicts import verdict_on
from evaltape.scoring.bounds import Verdict

if TYPE_CHECKING:  # Only a suite with judges needs it.
    from evaltape.judging.exam import Examined


class Flips(msgspec.Struct, frozen=True):
    """How often a judge contradicts itself on an answer."""

    share: float
    """The differing pairs of verdicts on the same answer."""
    answers: int
    """How many answers have several verdicts."""
    verdicts: int
    """The most verdicts on an answer."""


class JudgeResults(msgspec.Struct, frozen=True):
    """One judge."""

    key: str
    """Its key in the suite."""
    asked: int
    """How many answers that the session looked at have a recorded verdict."""
    unread: int
    """How many of these verdicts can't be read."""
    examined: "Examined"
    """How it did in its exam."""
    metrics: tuple[str, ...] = ()
    """The metrics that it scores."""
    missing: tuple[tuple[str, str], ...] = ()
    """The answers without a valid verdict, as (model, sample)."""
    flips: Flips | None = None
    """None unless answers were judged repeatedly."""
    cost_usd: float | None = None
    """The cost of the verdicts by the suite's price; None without a price."""

    @property
    def verdict(self) -> Verdict:
        """Whether it passed its exam; `not checked` for a judge without an exam."""
        return verdict_on(self.examined.passed if self.examined.decisions else None)

    @property
    def facts(self) -> Iterator[str]:
        """Yield the remarks beside its name, a few words each."""
        yield f"{self.asked:,} verdicts"
        if self.flips is not None:
            yield f"{self.flips.share:.1%} of repeated verdicts flip"

    @property
    def alarming(self) -> Iterator[str]:
        """Yield its warnings."""
        if self.unread:
            yield f"{self.unread:,} can't be read"
        if self.examined.judge.exam is None:
            yield "took no exam"
        elif self.examined.not_examined:
            yield "exam not recorded"
        elif not self.examined.passed:
            yield "failed its exam"

    @property
    def exam(self) -> Mapping[str, Any] | None:
        """How it did in its exam, by the results file's names; None without an exam."""
        return None if self.examined.judge.exam is None else self._exam()

    def _exam(self) -> dict[str, Any]:
        found, passed = self.examined, self.examined.passed if self.examined.decisions else None
        facts: dict[str, Any] = {"asked": found.asked, "verdict": self.verdict, "passed": passed}
        if found.not_examined:
            return {**facts, "not_examined": found.not_examined}
        if found.marks is not None:
            marks = found.marks
            facts |= {
                "unread": found.unread,
                "noticed": {name: share.mean for name, share in marks.noticed.items()},
                "alarms": marks.alarms.mean if marks.alarms else None,
                "alarms_harmless": marks.harmless.mean if marks.harmless else None,
            }
        if found.agreement is not None:
            agreement = found.agreement
            facts |= {
                "labels": agreement.labels,
                "kappa": agreement.kappa.value,
                "low": agreement.kappa.low,
                "high": agreement.kappa.high,
                "sensitivity": agreement.sensitivity.mean if agreement.sensitivity else None,
                "specificity": agreement.specificity.mean if agreement.specificity else None,
                "agreed": agreement.agreed,
                "commonest": agreement.commonest,
                "people_kappa": agreement.people.value if agreement.people else None,
                "second_kappa": found.oneself.value if found.oneself else None,
            }
        return facts
