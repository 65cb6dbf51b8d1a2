"""Remarks on judges beneath the tables: how to take their numbers, and how they agree with people."""

from collections.abc import Iterator

from evaltape.reporting.results import SuiteResults
from evaltape.reporting.subjects import JudgeResults
from evaltape.scoring.bounds import Decision


def judge_lines(suite: SuiteResults) -> Iterator[str]:
    """Yield a line for each judge that its numbers can't be shown without, and a line for its agreement with people."""
    yield from correction_lines(suite) if suite.judges else ()
    for judge in suite.judges.values():
        yield from standing_line(judge)
        yield from _agreement(judge)
        if judge.flips is not None:
            flips = judge.flips
            yield (
                f"{judge.key} was asked up to {flips.verdicts} times about each of {flips.answers:,} answers: two verdicts on "
                f"one answer differ in {flips.share:.1%} of cases"
            )


def correction_lines(suite: SuiteResults) -> Iterator[str]:
    """Yield the ground of each corrected mean and difference."""
    for key, model in suite.models.items():
        yield from (f"{key} {name}: {note}" for name, gate in model.gates.items() for note in corrections_in(gate))
    for comparison in suite.comparisons.values():
        for name, pair in comparison.metrics.items():
            yield from (f"{pair.bound.subject} {name}: {note}" for note in corrections_in(pair))


def corrections_in(decision: Decision) -> list[str]:
    """Return the ground of a decision's corrected number; nothing for other numbers."""
    return [note for note in decision.notes if note.startswith("corrected by ")]


def standing_line(judge: JudgeResults) -> Iterator[str]:
    """Yield how its numbers have to be taken; nothing for a judge that passed its exam."""
    examined = judge.examined
    if examined.passed or not judge.metrics:
        return
    rests = "gates may rest on it all the same (unexamined = true)" if examined.judge.unexamined else "no gate may rest on it"
    yield f"{', '.join(judge.metrics)}: {examined.standing}; {rests}. {examined.in_short()}"


def _agreement(judge: JudgeResults) -> Iterator[str]:
    found = judge.examined.agreement
    if found is None:
        return
    parts = [
        f"{judge.key} agrees with {found.agreed:.0%} of {found.labels:,} labels; always the commonest: {found.commonest:.0%}"
    ]
    for name, share in (("sensitivity", found.sensitivity), ("specificity", found.specificity)):
        if share is not None:
            parts.append(f"{name} {share.mean:.2f}")
    if found.people is not None and found.people.value is not None:
        parts.append(f"people agree with each other by kappa {found.people.value:.2f}")
    if judge.examined.oneself is not None and judge.examined.oneself.value is not None:
        parts.append(f"and with themselves by {judge.examined.oneself.value:.2f}")
    yield "; ".join(parts)
