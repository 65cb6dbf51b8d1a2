"""The tables of metrics in a suite file: the options of each built-in metric, and of the user's own."""

from typing import Annotated, ClassVar, Literal

from evaltape.suite.file.values import FUNCTION, Function, Rules, Table, Text, key, text

References = Annotated[Literal["best", "mean"], key("Of several references the best score, or the mean.")]
Tokenizer = Annotated[
    str,
    text("'rouge' (a-z and 0-9), 'unicode', or 'module:function'", f"^(?:rouge|unicode|{FUNCTION})$"),
    key("How words are told: 'rouge' (a-z and 0-9), 'unicode', or a function of your own."),
]


class MetricTable(Table, frozen=True):
    """The options of a metric."""

    written: tuple[str, ...] = ()
    """The options that the file has."""


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
