"""Metrics: a suite's [metrics] table, built once per process and computed per sample.

`build_metrics` turns the table into `Metric`s, `score_answer` gives an answer its scores. A package that scores is imported
with the first answer that it scores, `functions` for the first suite that names a function.
"""

import importlib.util
from collections.abc import Container, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from evaltape.errors import UserError
from evaltape.metrics import scorers
from evaltape.metrics.rouge import Words, package, rouge, words_by
from evaltape.metrics.scorers import UNLIMITED, FunctionError, Limits, Score, Unscored, is_within, span_of, spelled
from evaltape.samples.sample import Answer, Sample
from evaltape.suite import metric_tables
from evaltape.suite.definition import CORRECTED
from evaltape.suite.metric_tables import MetricTable
from evaltape.text import visible

if TYPE_CHECKING:
    from evaltape.metrics.functions import UserFunction


class Metric(msgspec.Struct, frozen=True):
    """A function of sample and answer, with the meaning of its scores."""

    name: str
    score: Score
    place: str
    """The suite file and table that name it, for messages."""
    higher_is_better: bool = True
    """Whether a gate is the least mean that passes; otherwise the greatest."""
    bounds: Limits = (0.0, 1.0)
    """The least and the greatest score; None for no such limit."""
    unit: str = ""
    """The unit of a score: `words`, `s`, `USD`; empty for a pure number."""
    decimals: int = 4
    """How many to show."""
    table: MetricTable = MetricTable()
    """Its options, as the suite has them."""
    words: Words | None = None
    """Of ROUGE: the function from a text to its words."""

    @property
    def is_of_call(self) -> bool:
        """Whether it scores the recorded call, which some answers lack, and not the answer's text."""
        return isinstance(self.table, metric_tables.LatencyS | metric_tables.CostUsd)

    @property
    def is_computed(self) -> bool:
        """Whether the text alone decides a score: not of a metric of the call, nor of a judge's recorded verdict."""
        return not self.is_of_call and not self.is_judged

    @property
    def is_two_valued(self) -> bool:
        """Whether a score is 0 or 1, as far as the metric itself says."""
        return self.is_judged or (isinstance(self.table, metric_tables.Exact) and self.references == "best")

    @property
    def references(self) -> str:
        """How several references count: by the `best` of them, or by their `mean`."""
        references: str = getattr(self.table, "references", "best")
        return references

    @property
    def is_judged(self) -> bool:
        """Whether a judge gives its scores."""
        return isinstance(self.table, metric_tables.OwnMetric) and self.table.judge is not None

    def describe(self, samples: Sequence[Sample] = ()) -> dict[str, Any]:
        """Return the grounds of its scores, for results and snapshots; of `samples` only the number of references counts."""
        found: dict[str, Any] = {}
        match self.table:
            case metric_tables.Rouge(tokenizer=tokenizer, stemmer=stemmer):
                found = {"package": package(), "tokenizer": tokenizer, "stemmer": stemmer}
            case metric_tables.Overlap(key=kind, references=references):
                found = scorers.sacrebleu_settings(samples, kind, references)
            case metric_tables.Words():
                found = {"tokenizer": "unicode"}
            case metric_tables.OwnMetric(judge=str(judge)):
                found = {"judge": judge}
            case metric_tables.OwnMetric(function=function):
                found = {"function": function, **({} if self.bounds == UNLIMITED else {"bounds": list(self.bounds)})}
        stated = {} if self.references == "best" else {"references": self.references}
        return {**found, **stated, **({} if self.higher_is_better else {"higher_is_better": False})}


class Metrics(dict[str, Metric]):
    """The metrics of a suite by name, in its order.

    A bound may also name a judge's corrected mean (`faithful_corrected`), which is no metric of its own: it is that of the
    judge's metric under the other name.
    """

    def __missing__(self, name: str) -> Metric:
        plain = name.removesuffix(CORRECTED)
        if plain == name or plain not in self:
            raise KeyError(name)
        return replace(self[plain], name=name)


def plain_name(name: str, metrics: Container[str]) -> str:
    """Return the metric that a bound names: of a judge's corrected mean, the judge's metric."""
    return name if name in metrics else name.removesuffix(CORRECTED)


def build_metrics(tables: Mapping[str, MetricTable], place: str, root: Path) -> Metrics:
    """Return the metrics of a suite by name, in the order of the suite.

    `place` names the table in messages (`evals/suites/chats.toml: [metrics]`); functions are imported from below `root`.
    Raises `UserError` for a metric that can't be computed.
    """
    known: dict[tuple[str, bool], Words] = {}
    return Metrics({name: _metric(table, place, root, known) for name, table in tables.items()})


def score_answer(metrics: Mapping[str, Metric], sample: Sample, answer: Answer) -> tuple[dict[str, float], dict[str, str]]:
    """Return the scores of an answer, and why other metrics give no score; each metric is in either.

    Every score is finite.
    """
    scores, unscored = dict[str, float](), dict[str, str]()
    for name, metric in metrics.items():
        try:
            scores[name] = metric.score(sample, answer)
        except Unscored as reason:
            unscored[name] = visible(str(reason))
        except FunctionError as error:
            unscored[name] = visible(f"{error} (sample {sample.id})")
    return scores, unscored


def check_bound(metric: Metric, bound: float, difference: bool = False) -> str | None:
    """Return why no mean can reach a gate, to follow its key in a message, or None for a gate within the metric's bounds.

    For `rouge1` and 38 that is `= 38: a mean of rouge1 is between 0 and 1. Did you mean 0.38?`. With `difference`, `bound`
    is that of a comparison (min_gain, max_drop): from 0 to the distance of the metric's bounds.
    """
    limits = (0.0, span_of(metric.bounds)) if difference else metric.bounds
    if is_within(bound, limits):
        return None
    hint = f" Did you mean {bound / 100:g}?" if limits[1] == 1 and 1 < bound <= 100 else ""
    what = "difference" if difference else "mean"
    return f"= {bound:.15g}: a {what} of {metric.name} is {spelled(limits)}.{hint}"


def _metric(table: MetricTable, place: str, root: Path, known: dict[tuple[str, bool], Words]) -> Metric:
    name = table.key
    made = partial(Metric, name, place=place, table=table)
    of_amounts = partial(made, higher_is_better=False, bounds=(0.0, None))
    match table:
        case metric_tables.Rouge(references=references):
            words = _words(table, place, root, known)
            return made(partial(rouge, name=name, words=words, references=references), words=words)
        case metric_tables.Overlap(references=references):
            if importlib.util.find_spec("sacrebleu") is None:
                install = "Install it: pip install 'evaltape[metrics]'"
                raise UserError(f"{place} {name} needs sacrebleu, which isn't installed. {install}")
            return made(partial(scorers.sacrebleu_score, name=name, references=references))
        case metric_tables.Exact(references=references):
            return made(partial(scorers.exact, references=references))
        case metric_tables.Words():
            return of_amounts(scorers.length, unit="words", decimals=1)
        case metric_tables.OwnMetric(function=str(function)):
            from evaltape.metrics.functions import load_metric

            score, higher_is_better, bounds = load_metric(function, root, f"{place} {name}")
            return made(score, higher_is_better=higher_is_better, bounds=bounds)
        case metric_tables.OwnMetric():
            return made(scorers.judged)
    unit, decimals = ("s", 2) if isinstance(table, metric_tables.LatencyS) else ("USD", 6)
    return of_amounts(partial(scorers.recorded, name=name), unit=unit, decimals=decimals)


def _words(table: metric_tables.Rouge, place: str, root: Path, known: dict[tuple[str, bool], Words]) -> Words:
    """Return the function to a text's words; all metrics with its tokenizer and stemmer share it."""
    name, stemmer = table.tokenizer, table.stemmer
    if (name, stemmer) not in known:
        known[name, stemmer] = words_by(_tokenizer(name, stemmer, f"{place} {table.key}", root), stemmer)
    return known[name, stemmer]


def _tokenizer(name: str, stemmer: bool, place: str, root: Path) -> "str | UserFunction":
    if name in ("rouge", "unicode"):
        return name
    if stemmer:
        raise UserError(f"{place}: stemmer = true: {name} is a function of your own; let it stem, and leave stemmer out")
    from evaltape.metrics.functions import load_function

    return load_function(name, root, ("text",), f"{place}: tokenizer = {name!r}")
