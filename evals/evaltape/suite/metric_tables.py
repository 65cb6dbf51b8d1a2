"""The metrics of a suite, and the options of each."""

from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from evaltape.names import is_safe_key, nearest
from evaltape.suite.file.values import FUNCTION, Function, Named, Rules, Text, key, reads, text

DEFAULT = ("rouge1", "rouge2", "rougeL")
TAKEN = {
    *("model", "sample", "prediction", "reference", "references", "failure", "failed", "truncated"),
    *("samples", "metrics", "gate", "bound", "low", "high"),
    *("applies_to", "slice_gates", "comparisons", "against", "unscored"),
}
"""Names that stand beside the metrics' in results, snapshots and JUnit XML."""

References = Annotated[Literal["best", "mean"], key("Of several references the best score, or the mean.")]
Tokenizer = Annotated[
    str,
    text("'rouge' (a-z and 0-9), 'unicode', or 'module:function'", f"^(?:rouge|unicode|{FUNCTION})$"),
    key("How words are told: 'rouge' (a-z and 0-9), 'unicode', or a function of your own."),
]


class MetricTable(Named, frozen=True):
    """The options of a metric; its key is the name by which gates, tests and results call it."""


class Rouge(MetricTable, frozen=True):
    """ROUGE by rouge_score, F1 in 0..1."""

    stemmer: Annotated[bool, key("Whether words are compared by their Porter stems.")] = False
    tokenizer: Tokenizer = "rouge"
    references: References = "best"


class Overlap(MetricTable, frozen=True):
    """chrF and BLEU by sacrebleu, per sample, in 0..1; they need the extra `metrics`."""

    references: References = "best"


class Exact(MetricTable, frozen=True):
    """1 if the answer is a reference, 0 if it isn't."""

    references: References = "best"


class Words(MetricTable, frozen=True):
    """How many words the answer has."""


class LatencyS(MetricTable, frozen=True):
    """Seconds that the call took when it was recorded."""


class CostUsd(MetricTable, frozen=True):
    """USD that the call cost when it was recorded."""


class OwnMetric(MetricTable, frozen=True):
    """A metric of your own."""

    rules: ClassVar[Rules] = Rules(one_of=("function", "judge"))
    function: Annotated[Function | None, key("A function of sample and answer.")] = None
    judge: Annotated[Text | None, key("A key under [judges].")] = None


METRICS: dict[str, type[MetricTable]] = {
    **{f"rouge{n}": Rouge for n in range(1, 10)},
    "rougeL": Rouge,
    "rougeLsum": Rouge,
    "chrf": Overlap,
    "bleu": Overlap,
    "exact": Exact,
    "words": Words,
    "latency_s": LatencyS,
    "cost_usd": CostUsd,
}
"""The metrics that are built in, by name."""


def _problem(name: str, options: Any) -> str | None:
    """Return why no metric can have a name; it comes before the options, as a mistyped name has no valid options."""
    is_own = isinstance(options, dict) and ("function" in options or "judge" in options)
    if name in METRICS and is_own:
        return "is built in; give a metric of your own another name"
    if name in TAKEN:
        return "stands for something else in results; give the metric another name"
    if not is_safe_key(name):
        return "can't be part of a test id; use letters, digits, _, - and ."
    if name not in METRICS and isinstance(options, dict) and not is_own:
        own = f'one of your own: {name} = {{ function = "module:function" }}, or {{ judge = "NAME" }}'
        return f"is not built in.{nearest(name, METRICS)} Built in: {', '.join(METRICS)}; {own}"
    return None


Metrics = Annotated[
    dict[str, MetricTable],
    reads(Annotated[dict[str, OwnMetric], Meta(min_length=1)], known=METRICS, entry=_problem),
    key("In the order they are shown; rouge1, rouge2 and rougeL when absent."),
]


def default_metrics() -> dict[str, MetricTable]:
    """Return the metrics of a suite that names none."""
    return {name: Rouge(name) for name in DEFAULT}
