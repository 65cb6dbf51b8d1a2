"""Entries of a suite's [metrics]: which there are, and what each takes."""

from collections.abc import Mapping

from evaltape.errors import UserError
from evaltape.names import nearest
from evaltape.suite.definition import MetricSpec

KINDS = {
    **dict.fromkeys((*(f"rouge{n}" for n in range(1, 10)), "rougeL", "rougeLsum"), "rouge"),
    **{name: name for name in ("chrf", "bleu", "exact", "words", "latency_s", "cost_usd")},
}
"""The kind of each built-in metric by its name."""
OPTIONS: Mapping[str, Mapping[str, type]] = {
    "rouge": {"stemmer": bool, "tokenizer": str, "references": str},
    "chrf": {"references": str},
    "bleu": {"references": str},
    "exact": {"references": str},
    "words": {},
    "latency_s": {},
    "cost_usd": {},
    "function": {"function": str},
}
RESERVED = ("model", "sample", "prediction", "references", "samples", "failed", "truncated")
"""Keys that stand beside metrics in results and snapshots, so no metric can have their names."""
_VALID = 'rouge1 to rouge9, rougeL, rougeLsum, chrf, bleu, exact, words, latency_s, cost_usd, or { function = "module:name" }'


DEFAULT_SPECS = {name: MetricSpec(name, "rouge") for name in ("rouge1", "rouge2", "rougeL")}
"""The metrics of a suite without [metrics]."""


def check_spec(spec: MetricSpec, place: str) -> None:
    """Refuse a name, kind or option that there isn't, by `UserError`; `place` names the entry in its message."""
    if spec.kind == "function" and (spec.name in KINDS or spec.name in RESERVED):
        raise UserError(f"{place} is a name of Evaltape's own; give the function's metric another")
    if spec.kind != "function" and KINDS.get(spec.name) != spec.kind:
        raise UserError(f"{place} is not a metric Evaltape knows.{nearest(spec.name, KINDS)} Valid: {_VALID}")
    options = OPTIONS[spec.kind]
    for option, value in spec.options.items():
        if option not in options:
            valid = f" Valid here: {', '.join(options)}" if options else " It takes none"
            raise UserError(f"{place}: {option} is not an option of it.{nearest(option, options)}{valid}")
        if not isinstance(value, options[option]):
            kind = "true or false" if options[option] is bool else "a text"
            raise UserError(f"{place}: {option} = {value!r}: it takes {kind}")
    if spec.options.get("references", "best") not in ("best", "mean"):
        raise UserError(f"{place}: references = {spec.options['references']!r}: it takes 'best' or 'mean'")
