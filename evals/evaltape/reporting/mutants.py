"""How the gates of a model notice mutants, as lines of a terminal: a table, operators by gates, and conclusions."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from evaltape.mutation.model_mutants import ModelMutants, what_would_notice
from evaltape.mutation.study import Noticing, OperatorStudy, Study
from evaltape.reporting.tables import GAP, row
from evaltape.scoring.bounds import Bound
from evaltape.text import columns, counted, cut

NEVER = "never"
LONGEST_OPERATOR = 24
ANSWERS = 7
"""The width of the number of answers that an operator applies to."""
COLUMN = 7
"""The least width of a gate."""
LONGEST_GROUP = 20


def table_lines(mutants: ModelMutants, width: int = 80) -> Iterator[str]:
    """Yield a heading with the mutation score, and per gate the smallest share of each damage that it notices.

    Damage that no gate notices comes first, and harmful before harmless operators. Gates that don't fit beside each other
    within `width` columns follow in a further block.
    """
    study = mutants.study
    yield cut(f"{mutants.model}: {_score(study)}", width)
    names = _names(study)
    first = [max(map(columns, [*names.values(), "undamaged"])), ANSWERS]
    for gates in _blocks(study.bounds, width - len(row(["", ""], first, "<>"))):
        yield from (line.rstrip() for line in _block(study, gates, names, first))


def detail_lines(mutants: ModelMutants) -> Iterator[str]:
    """Yield a paragraph for each missed harmful operator, for each noticed harmless operator, and for each gate
    that was left out."""
    study = mutants.study
    for operator in study.missed if study.bounds else ():
        yield f"{operator.operator}: {what_would_notice(operator, study)}"
    for name, noticed in groupby(study.brittle, lambda pair: pair[0].operator):
        gates = ", ".join(f"{noticing.bound.title} ({noticing.share:.0%})" for _, noticing in noticed)
        yield f"Brittle: {name} does no harm, but is noticed by {gates}"
    for reason, left in groupby(study.left_out, lambda each: each.reason):
        yield f"Left out: {', '.join(each.bound.title for each in left)}: {reason}"


def _score(study: Study) -> str:
    if not study.operators or not study.operators[0].answers:
        return "there is no answer to damage"
    if not study.bounds:
        return "no gate that could notice damage"
    harmful = counted(len(study.applicable), "harmful operator")
    return f"{len(study.noticed)} of {harmful} noticed at {study.noticed_at:.0%} of the answers"


def _names(study: Study) -> dict[str, str]:
    """Return operators as the table names them: of `module:function` the function, if no other is called so."""
    short = {each.operator: each.operator.rpartition(":")[2] for each in study.operators}
    several = [name for name in short.values() if list(short.values()).count(name) > 1]
    return {name: cut(name if last in several else last, LONGEST_OPERATOR) for name, last in short.items()}


# ---------------------------------------------------------------- the table


def _blocks(gates: Sequence[Bound], width: int) -> Iterator[list[Bound]]:
    """Yield the gates in blocks that fit beside each other; a group stays together if it fits in a block."""

    def fits(block: list[Bound]) -> bool:
        return sum(len(GAP) + column for column in _widths(block)) <= width

    block: list[Bound] = []
    for _, members in groupby(gates, lambda gate: gate.group):
        group = list(members)
        for part in [group] if fits(group) else [[gate] for gate in group]:
            if block and not fits([*block, *part]):
                yield block
                block = []
            block += part
    if block:
        yield block


def _widths(gates: Sequence[Bound]) -> list[int]:
    """Return the width of each gate: of its metric, and the first of a group is wide enough for the group's name."""
    widths = []
    for group, members in groupby(gates, lambda gate: gate.group):
        each = [max(COLUMN, len(gate.metric)) for gate in members]
        each[0] += max(0, min(len(group), LONGEST_GROUP) - _together(each))
        widths += each
    return widths


def _together(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _block(study: Study, gates: Sequence[Bound], names: dict[str, str], first: list[int]) -> Iterator[str]:
    places = [place for place, gate in enumerate(study.bounds) if gate in gates]
    widths = _widths(gates)

    def line(name: str, answers: str, cells: Sequence[str]) -> str:
        return row([name, answers, *cells], [*first, *widths], "<>" + ">" * len(cells))

    yield row(["", ""], first, "<>") + _group_headings(gates, widths)
    yield line("", "answers", [gate.metric for gate in gates])
    yield line("undamaged", "", _undamaged(study, places))
    yield line("bound", "", [_number(gate, gate.required) for gate in gates])
    for is_harmful, operators in groupby(study.hardest_first, lambda each: each.harmful):
        yield "harmful" if is_harmful else "harmless"
        yield from (line(names[each.operator], f"{each.applies_to:,}", _shares(each, places)) for each in operators)


def _group_headings(gates: Sequence[Bound], widths: Sequence[int]) -> str:
    """Return the groups of gates, each over its columns."""
    groups = [(group, list(members)) for group, members in groupby(zip(gates, widths, strict=True), lambda pair: pair[0].group)]
    together = [_together([width for _, width in members]) for _, members in groups]
    named = [cut(group, width) for (group, _), width in zip(groups, together, strict=True)]
    return row(named, together, "<" * len(named))


def _undamaged(study: Study, places: Sequence[int]) -> list[str]:
    """Return values of gates before any damage, which every operator that applies to some answer knows."""
    noticing: Sequence[Noticing] = next((each.noticing for each in study.operators if each.noticing), ())
    return [_number(study.bounds[place], noticing[place].undamaged) if noticing else "" for place in places]


def _shares(operator: OperatorStudy, places: Sequence[int]) -> list[str]:
    if not operator.noticing:
        return [""] * len(places)
    shares = [operator.noticing[place].share for place in places]
    return [NEVER if share is None else f"{share:.0%}" for share in shares]


def _number(bound: Bound, value: float | None) -> str:
    """Return a value or a bound in at most a column's width, with a sign if it is a difference."""
    if value is None:
        return "-"
    digits = next((digits for digits in (4, 3, 2, 1, 0) if len(f"{value:+.{digits}f}") <= COLUMN), 0)
    return f"{value:+.{digits}f}" if bound.is_paired else f"{value:.{digits}f}"
