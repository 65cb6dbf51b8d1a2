"""Test ids are names joined by `-`; here it is seen to it that no two tests of a session have one id."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

import msgspec

from evaltape.errors import UserError
from evaltape.names import shown
from evaltape.samples.sample import Sample
from evaltape.suite.definition import Suite
from evaltape.suite.reader import refuse_equal_names

Suites = Sequence[tuple[Suite, Sequence[Sample]]]


class _Group(msgspec.Struct, frozen=True):
    """The tests of one function and one subject: their ids begin with `start` and end with one of `ends`."""

    suite: Suite
    table: str
    key: str
    ends: frozenset[str]
    """Empty for a single test without an end."""

    @property
    def start(self) -> str:
        """The part that all of them share."""
        return f"{self.suite.name}-{self.key}"

    @property
    def place(self) -> str:
        """The suite file and the table in it that the subject is declared in."""
        return f"{shown(self.suite.file)}: [{self.table}.{self.key}]"


def check_ids(suites_with_samples: Suites) -> None:
    """Raise `UserError`, naming both, if names of suites, models, jobs or comparisons make two test ids alike.

    Covers every family of ids: SUITE-MODEL-SAMPLE, SUITE-MODEL-METRIC, SUITE-MODEL-OPERATOR, SUITE-MODEL, SUITE-JOB,
    SUITE-JUDGE and SUITE-COMPARISON-METRIC.
    """
    refuse_equal_names([suite for suite, _ in suites_with_samples])
    for groups in _families(suites_with_samples):
        for one, other in combinations(groups, 2):
            same = _same_id(one, other) or _same_id(other, one)
            if same is not None:
                raise UserError(f"{one.place} and {other.place} make two tests of the id {same}; rename one of them")


def _families(suites: Suites) -> Iterator[list[_Group]]:
    names = [(suite, frozenset(sample.name for sample in samples)) for suite, samples in suites]
    yield [group for suite, ends in names for group in _of_models(suite, ends)]
    yield [group for suite, _ in names for group in _of_models(suite, suite.metrics)]
    yield [group for suite, _ in names for group in _of_models(suite, suite.mutants.operators if suite.mutants else ())]
    yield [group for suite, _ in names for group in _of_models(suite, ())]
    yield [_Group(suite, "judges", key, frozenset()) for suite, _ in names for key in suite.judges]
    yield [_Group(suite, "compare", key, frozenset(suite.metrics)) for suite, _ in names for key in suite.comparisons]


def _of_models(suite: Suite, ends: Iterable[str]) -> list[_Group]:
    tables = {key: "finetune" if model.job else "models" for key, model in suite.models.items()}
    return [_Group(suite, table, key, frozenset(ends)) for key, table in tables.items()]


def _same_id(short: _Group, long: _Group) -> str | None:
    """Return an id of both, of which `short` has the shorter start."""
    if short.start == long.start:
        both = short.ends & long.ends
        return f"{long.start}-{min(both)}" if both else None if short.ends or long.ends else long.start
    if not long.start.startswith(f"{short.start}-"):
        return None
    between = long.start[len(short.start) + 1 :]
    return next((f"{long.start}-{end}" for end in sorted(long.ends) if f"{between}-{end}" in short.ends), None)
