"""The checks of samples, loaded or frozen: columns, prompts, slices, clusters, ids."""

import contextlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from evaltape.errors import UserError
from evaltape.names import nearest, shown
from evaltape.samples.sample import Sample
from evaltape.suite.definition import Model, Suite
from evaltape.suite.prompt import ANSWER, INPUT, REFERENCE, Prompt, as_text, messages_of
from evaltape.suite.reader import refuse_equal_names
from evaltape.text import cut

MOST_NUMBERS = 20
"""How many different numbers a slice column may hold: a rating or a year is a label, a length isn't."""
LONGEST_LIST = 400
"""How many characters of the columns' names a message shows."""
FEWEST_NUMBERS = 5
"""From how many samples on numbers that never repeat are no labels."""


class Header(msgspec.Struct, frozen=True):
    """The columns of a data set or a recording. Each check raises `UserError` for a missing column of the suite."""

    suite: Suite
    columns: Collection[str]
    owner: str
    """Their owner, for messages: `Recorded columns`."""
    hint: str = ""
    """The end of messages."""

    def check_fields(self) -> None:
        """Check the columns under `fields`."""
        fields = self.suite.dataset.fields
        for key, columns in {"id": (fields.id,), "input": (fields.input,), "reference": fields.reference}.items():
            hint = ". Or leave id out of fields: ids are then made of the inputs" if key == "id" else ""
            for column in filter(None, columns):
                self._check(column, f"[dataset.fields] {key} = {column!r}", hint)

    def check_kept(self) -> None:
        """Check the columns that samples carry: slices, cluster, keep and the columns of prompts."""
        data = self.suite.dataset
        for key, columns in {"slices": data.slices, "cluster": (data.cluster,), "keep": data.keep}.items():
            for column in filter(None, columns):
                self._check(column, f"[dataset] {key} names {column!r}")
        for model in self.suite.models.values():
            self.check_prompt(model)
        for judge in self.suite.judges.values():
            self._check_names(judge.prompt, f"[judges.{judge.key}] prompt", [INPUT, ANSWER, REFERENCE, *self.columns])

    def check_prompt(self, model: Model) -> None:
        """Check the columns that a model's prompt names."""
        self._check_names(model.prompt, model.prompt_place, [INPUT, *self.columns])

    def _check_names(self, prompt: Prompt, place: str, valid: list[str]) -> None:
        for column in sorted(prompt.columns.difference(valid)):
            if column == prompt.conversation:
                self._check(column, f"{place} conversation = {column!r}")
            near = nearest(column, valid).replace("'", "{", 1).replace("'", "}", 1)
            raise self._error(f"{place} names {{{column}}}, which is no column.{near}", valid)

    def _check(self, column: str, place: str, hint: str = "") -> None:
        if column not in self.columns:
            raise self._error(f"{place}: no such column.{nearest(column, self.columns)}", self.columns, hint)

    def _error(self, what: str, valid: Collection[str], hint: str = "") -> UserError:
        listed = cut(", ".join(valid) or "none", LONGEST_LIST)
        return UserError(f"{shown(self.suite.file)}: {what} {self.owner}: {listed}{hint or self.hint}")


def check_samples(suite: Suite, samples: Sequence[Sample], is_text: bool = False) -> None:
    """Raise `UserError` for ids that aren't distinct, and for a value that can't have the role that the suite gives it.

    `is_text` says that numbers, too, came as texts.
    """
    _check_row_ids(suite, samples)
    for prompt in {model.prompt_place: model.prompt for model in suite.models.values()}.values():
        check_prompt_columns(suite, samples, prompt.columns - {INPUT}, prompt.conversation)
    for judge in suite.judges.values():
        check_prompt_columns(suite, samples, judge.columns)
    if suite.dataset.cluster:
        check_prompt_columns(suite, samples, [suite.dataset.cluster])
    for column in suite.dataset.slices:
        there = [sample for sample in samples if sample.columns[column] is not None]
        check_prompt_columns(suite, there, [column])
        numbers = _numbers([sample.columns[column] for sample in there], is_text)
        if numbers and is_continuous(numbers):
            raise UserError(
                f"{shown(suite.file)}: [dataset] slices names {column!r}, a column of {len(set(numbers))} different numbers "
                f"from {min(numbers):g} to {max(numbers):g}; a slice is what shares a value. Write a column that bins them, "
                "with values like 'short' and 'long', and name that one"
            )


def check_prompt_columns(
    suite: Suite, samples: Sequence[Sample], columns: Collection[str], conversation: str | None = None
) -> None:
    """Raise `UserError`, naming the sample, for a value of these columns that can't stand in a prompt."""
    for column in sorted(columns):
        read: Callable[[Any], object] = messages_of if column == conversation else as_text
        for sample in samples:
            try:
                read(sample.columns[column])
            except ValueError as error:
                raise UserError(f"{shown(suite.file)}: sample {sample.id!r}: column {column!r} {error}") from None


def _numbers(values: Sequence[Any], is_text: bool) -> list[float]:
    """Return a column's numbers; empty if some value isn't a number."""
    kinds = str if is_text else int | float
    if not all(isinstance(value, kinds) and not isinstance(value, bool) for value in values):
        return []
    with contextlib.suppress(ValueError, OverflowError):
        return [float(value) for value in values]
    return []


def is_continuous(numbers: Sequence[float]) -> bool:
    """Whether numbers measure something and don't label it: some have fractions, or nearly all differ."""
    if any(not float(number).is_integer() for number in numbers):
        return True
    different = len(set(numbers))
    return different > MOST_NUMBERS or (different == len(numbers) and different >= FEWEST_NUMBERS)


def repeated_id(samples: Sequence[Sample]) -> str | None:
    """Return an id that two samples share; None if there isn't any."""
    return next((sample_id for sample_id, count in Counter(s.id for s in samples).items() if count > 1), None)


def _check_row_ids(suite: Suite, samples: Sequence[Sample]) -> None:
    """Raise `UserError` for an empty list, for two samples with the same id, or with one cassette where case is ignored."""
    if not samples:
        raise UserError(f"{shown(suite.file)}: there are no samples")
    twice = repeated_id(samples)
    if twice is not None and suite.dataset.fields.id is None:
        equal = next(sample.input for sample in samples if sample.id == twice)
        raise UserError(
            f"{shown(suite.file)}: two rows have the same input ({cut(repr(equal), 60)}), which their ids are made of. "
            'Give the rows ids, and name their column: fields = { id = "..." }'
        )
    if twice is not None:
        raise UserError(f"{shown(suite.file)}: two samples have the id {twice!r}; ids name cassettes and must differ")
    seen: dict[str, str] = {}
    for sample in samples:
        other = seen.setdefault(sample.name.lower(), sample.id)
        if other != sample.id:
            raise UserError(
                f"{shown(suite.file)}: the ids {other!r} and {sample.id!r} differ by case alone, and would name one file on "
                "macOS and Windows. Rename one, or leave id out of fields: ids are then made of the inputs"
            )


def check_ids(suites_with_samples: Sequence[tuple[Suite, Sequence[Sample]]]) -> None:
    """Raise `UserError`, naming both, if names of suites, models, jobs or comparisons make two test ids alike.

    Covers every family of ids: SUITE-MODEL-SAMPLE, SUITE-MODEL-METRIC, SUITE-MODEL-OPERATOR, SUITE-MODEL, SUITE-JOB,
    SUITE-JUDGE and SUITE-COMPARISON-METRIC.
    """
    refuse_equal_names([suite for suite, _ in suites_with_samples])
    places: dict[tuple[str, str], str] = {}
    for suite, samples in suites_with_samples:
        for family, place, test_id in _ids(suite, samples):
            other = places.setdefault((family, test_id), place)
            if other != place:
                raise UserError(f"{other} and {place} make two tests of the id {test_id}; rename one of them")


def _ids(suite: Suite, samples: Sequence[Sample]) -> Iterator[tuple[str, str, str]]:
    """Yield every test id with its family and the place in the suite file that declares its subject."""
    operators = suite.mutants.operators if suite.mutants else ()
    names = [sample.name for sample in samples]
    of_models: dict[str, Iterable[str]] = {"sample": names, "metric": suite.metrics, "operator": operators, "model": [""]}
    subjects: list[tuple[str, str, dict[str, Iterable[str]]]]
    subjects = [("finetune" if model.job else "models", key, of_models) for key, model in suite.models.items()]
    subjects += [("judges", key, {"judge": [""]}) for key in suite.judges]
    subjects += [("compare", key, {"comparison": suite.metrics}) for key in suite.comparisons]
    for table, key, families in subjects:
        place = f"{shown(suite.file)}: [{table}.{key}]"
        for family, ends in families.items():
            for end in ends:
                yield family, place, "-".join(filter(None, (suite.name, key, end)))
