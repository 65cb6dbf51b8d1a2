"""Lists as lines of a terminal: the table of `--mutate`, the gates of `--suggest` as TOML, and the commits of `--history`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from evaltape.against.history import Moment
from evaltape.metrics.metric import Metric
from evaltape.mutation.model_mutants import ModelMutants, what_would_notice
from evaltape.mutation.study import Study
from evaltape.mutation.suggestion import Suggestion
from evaltape.reporting.tables import GAP, row, widths_of
from evaltape.scoring.bounds import Bound, interval_text
from evaltape.suite.definition import Model
from evaltape.text import columns, counted, cut, visible, wrapped

# ---------------------------------------------------------------- mutants


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
    # Of `module:function` the function, if no other is called so.
    short = {each.operator: each.operator.rpartition(":")[2] for each in study.operators}
    several = [name for name in short.values() if list(short.values()).count(name) > 1]
    names = {name: cut(name if last in several else last, LONGEST_OPERATOR) for name, last in short.items()}
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
    for reason, left in groupby(study.left_out.items(), lambda each: each[1]):
        yield f"Left out: {', '.join(bound.title for bound, _ in left)}: {reason}"


def _score(study: Study) -> str:
    if not study.operators or not study.operators[0].answers:
        return "there is no answer to damage"
    if not study.bounds:
        return "no gate that could notice damage"
    harmful = counted(len(study.applicable), "harmful operator")
    return f"{len(study.noticed)} of {harmful} noticed at {study.noticed_at:.0%} of the answers"


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

    by_group = groupby(zip(gates, widths, strict=True), lambda pair: pair[0].group)
    together = [(group, _together([width for _, width in members])) for group, members in by_group]
    headings = [cut(group, width) for group, width in together]
    yield row(["", ""], first, "<>") + row(headings, [width for _, width in together], "<" * len(headings))
    yield line("", "answers", [gate.metric for gate in gates])
    # Every operator that applies to some answer knows the values before any damage.
    known = next((each.noticing for each in study.operators if each.noticing), None)
    yield line("undamaged", "", [_number(study.bounds[it], known[it].before.value) if known else "" for it in places])
    yield line("bound", "", [_number(gate, gate.required) for gate in gates])
    for is_harmful, operators in groupby(study.hardest_first, lambda each: each.harmful):
        yield "harmful" if is_harmful else "harmless"
        for each in operators:
            shares = [each.noticing[place].share for place in places] if each.noticing else []
            told = [NEVER if share is None else f"{share:.0%}" for share in shares]
            yield line(names[each.operator], f"{each.applies_to:,}", told or [""] * len(places))


def _number(bound: Bound, value: float | None) -> str:
    """Return a value or a bound in at most a column's width, with a sign if it is a difference."""
    if value is None:
        return "-"
    digits = next((digits for digits in (4, 3, 2, 1, 0) if len(f"{value:+.{digits}f}") <= COLUMN), 0)
    return f"{value:+.{digits}f}" if bound.is_paired else f"{value:.{digits}f}"


# ---------------------------------------------------------------- suggested gates


WIDTH = 100
MEASURE = "--record --repeat 5 measures the noise; with --estimate it says what that costs, and calls nothing."


def suggestion_lines(found: Mapping[str, Suggestion | str], models: Mapping[str, Model]) -> Iterator[str]:
    """Yield lines that are TOML: by model the smallest set of gates as keys, and everything else as comments.

    `found` has a reason for a model that no gate can be suggested for. Models that share a table, as with several prompts,
    can't each have gates of their own: the first has the keys.
    """
    places: set[str] = set()
    for key, suggestion in found.items():
        place = models[key].place
        is_shared = place in places
        if isinstance(suggestion, str):
            yield from _comment(f"{key}: no gate is suggested: {suggestion}")
            continue
        yield from _comment(f"{key}: {_summary(suggestion, models[key])}")
        if is_shared:
            yield from _comment(f"It shares [{place}] with a model above, so its gates are comments")
        elif suggestion.gates:
            places.add(place)
            kind, _, name = place.partition(".")
            yield f"[{kind}.{_key(name)}.gates]"
        yield from _gates(suggestion, is_shared)
        for metric, reason in suggestion.unsuggested.items():
            yield from _comment(f"{metric}: no gate is suggested: {reason}")
    # Answers from a file can't be asked for.
    asked = [it for key, it in found.items() if not isinstance(it, str) and models[key].predictions is None]
    if not all(gate.is_measured for suggestion in asked for gate in suggestion.gates):
        yield from _comment(MEASURE)


def _summary(suggestion: Suggestion, model: Model) -> str:
    if not suggestion.gates:
        return "no metric has a gate that these recordings speak for"
    noticed = {operator for gate in suggestion.gates for operator in gate.noticed}
    missed = [operator for operator in suggestion.operators if operator not in noticed]
    share = f"{suggestion.noticed_at:.0%} of the answers"
    counts = f"its gates notice {len(noticed)} of {len(suggestion.operators)} harmful operators at {share}"
    by = f", by {' and '.join(suggestion.smallest)}; the other gates notice no more" if suggestion.smallest else ""
    unnoticed = f". No gate notices {', '.join(missed)}" if missed else ""
    place = "in place of its present gates" if model.gates else "into the suite"
    return f"{counts}{by}{unnoticed}. Paste these {place}"


def _gates(suggestion: Suggestion, is_shared: bool) -> Iterator[str]:
    """Yield a line per gate after its grounds: as a key if it is of the smallest set, or if no set is."""
    for gate in suggestion.gates:
        noticed = f"notices {', '.join(gate.noticed)}" if gate.noticed else "notices no damage"
        noticed += f"; {gate.more}" if gate.more else ""
        unknown = f"which damage it notices isn't known: {gate.unknown}"
        metric = gate.bound.metric
        yield from _comment(f"{metric}: {gate.ground}; {unknown if gate.unknown else noticed}")
        is_key = not is_shared and (metric in suggestion.smallest or not suggestion.smallest)
        yield f"{'' if is_key else '# '}{_key(metric)} = {gate.bound.limit!r}"


def _key(name: str) -> str:
    """Return a name as a key of TOML, quoted where it has to be."""
    is_bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if is_bare else '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _comment(text: str) -> Iterable[str]:
    return (f"# {line}" for line in wrapped(visible(text), WIDTH - 2, "  "))


# ---------------------------------------------------------------- history


TITLES, LEAST_WIDTHS, LEAST_METRIC = ("commit", "day", "samples"), (10, 10, 7), 8


def history_lines(history: Mapping[str, Sequence[Moment]], metrics: Sequence[Metric]) -> Iterator[str]:
    """Yield by model a heading, the table, and a line for each metric of each fall; its moments are oldest first."""
    titles, least = (*TITLES, *(metric.name for metric in metrics)), (*LEAST_WIDTHS, *[LEAST_METRIC] * len(metrics))
    for model, moments in history.items():
        yield f"{model}: {counted(len(moments), 'commit')} with recordings of the suite"
        rows = [_cells(moment, metrics) for moment in reversed(moments)]
        widths = widths_of([titles, *(cells for cells in rows if len(cells) == len(titles))], least)
        yield from (row(cells, widths, "<<" + ">" * (len(titles) - 2)) for cells in [titles, *rows])
        fallen = [line for moment in reversed(moments) for line in _falls(moment, metrics)]
        if sum(moment.scores is not None for moment in moments) < 2:
            yield "  Not checked: it takes two commits."
        else:
            yield from fallen or ["  At no commit is it known to have fallen by more than noise."]


def _cells(moment: Moment, metrics: Sequence[Metric]) -> tuple[str, ...]:
    """Return a row of the table; only three cells for a commit that can't be read."""
    scores, commit = moment.scores, moment.commit
    if scores is None:
        return commit.ref, commit.day, f"not read: {moment.reason}"
    means = (f"{scores.mean(it.name):.{it.decimals}f}" if scores.scored(it.name) else "-" for it in metrics)
    return commit.ref, commit.day, f"{len(scores.answered):,}", *means


def _falls(moment: Moment, metrics: Sequence[Metric]) -> Iterator[str]:
    for metric in (metric for metric in metrics if metric.name in moment.falls):
        fall = moment.falls[metric.name]
        ground = interval_text(fall.found, metric.decimals)
        if fall.smallest_drop is not None:
            ground = f"by its repeats {fall.smallest_drop:.{metric.decimals}f} may be noise"
        change = f"{fall.found.mean:+.{metric.decimals}f} ({ground})"
        yield f"  Fell at {moment.commit.ref} of {moment.commit.day}: {metric.name} {change}"
