"""`--suggest` as TOML: a table of gates per model, with the grounds of each gate in comments."""

from collections.abc import Iterable, Iterator, Mapping

from evaltape.mutation.suggestion import Suggested, Suggestion
from evaltape.suite.definition import Model
from evaltape.text import visible, wrapped

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
        yield from _comment(f"{key}: {_summary(suggestion)}")
        if is_shared:
            yield from _comment(f"It shares [{place}] with a model above, so its gates are comments")
        elif suggestion.gates:
            places.add(place)
            yield _table(models[key])
        yield from _gates(suggestion, is_shared)
        for each in suggestion.unsuggested:
            yield from _comment(f"{each.metric}: no gate is suggested: {each.reason}")
    if any(_could_be_measured(models[key], suggestion) for key, suggestion in found.items()):
        yield from _comment(MEASURE)


def _could_be_measured(model: Model, suggestion: Suggestion | str) -> bool:
    """Whether a recording would measure the noise that a gate of the model's lacks; answers from a file can't be asked for."""
    if isinstance(suggestion, str) or model.predictions is not None:
        return False
    return not all(gate.proposal.is_measured for gate in suggestion.gates)


def _summary(suggestion: Suggestion) -> str:
    if not suggestion.gates:
        return "no metric has a gate that these recordings speak for"
    noticed = {operator for gate in suggestion.gates for operator in gate.noticed}
    missed = [operator for operator in suggestion.operators if operator not in noticed]
    share = f"{suggestion.noticed_at:.0%} of the answers"
    counts = f"its gates notice {len(noticed)} of {len(suggestion.operators)} harmful operators at {share}"
    by = f", by {' and '.join(suggestion.smallest)}; the other gates notice no more" if suggestion.smallest else ""
    unnoticed = f". No gate notices {', '.join(missed)}" if missed else ""
    return f"{counts}{by}{unnoticed}. To paste in place of the gates that it has"


def _gates(suggestion: Suggestion, is_shared: bool) -> Iterator[str]:
    """Yield a line per gate after its grounds: as a key if it is of the smallest set, or if no set is."""
    for gate in suggestion.gates:
        yield from _comment(f"{gate.metric}: {gate.proposal.ground}; {_notices(gate)}")
        is_key = not is_shared and (gate.metric in suggestion.smallest or not suggestion.smallest)
        yield f"{'' if is_key else '# '}{_key(gate.metric)} = {gate.proposal.bound.limit!r}"


def _notices(gate: Suggested) -> str:
    if gate.unknown:
        return f"which damage it notices isn't known: {gate.unknown}"
    noticed = f"notices {', '.join(gate.noticed)}" if gate.noticed else "notices no damage"
    return f"{noticed}; {gate.more}" if gate.more else noticed


def _table(model: Model) -> str:
    kind, _, key = model.place.partition(".")
    return f"[{kind}.{_key(key)}.gates]"


def _key(name: str) -> str:
    """Return a name as a key of TOML, quoted where it has to be."""
    is_bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if is_bare else '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _comment(text: str) -> Iterable[str]:
    return (f"# {line}" for line in wrapped(visible(text), WIDTH - 2, "  "))
