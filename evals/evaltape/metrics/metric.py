"""Metrics: a suite's [metrics] table, built once per process and computed per sample.

`build_metrics` turns the table into `Metric`s, `score_answer` gives an answer its scores. A package that scores is imported
with the first answer that it scores, `functions` for the first suite that names a function.
"""

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from evaltape.errors import UserError
from evaltape.metrics.rouge import RougeScores
from evaltape.metrics.scorers import (
    CallFacts,
    Exact,
    Judged,
    Limits,
    Recorded,
    SacrebleuScores,
    Scorer,
    Unscored,
    Words,
    is_within,
    spelled,
)
from evaltape.samples.sample import Sample
from evaltape.suite.definition import CORRECTED, MetricSpec
from evaltape.text import visible

if TYPE_CHECKING:
    from evaltape.metrics.functions import UserFunction


class Metric(msgspec.Struct, frozen=True):
    """A function of sample and answer, with the meaning of its scores."""

    name: str
    scorer: Scorer
    """Its scorer; metrics that share their work share it."""
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
    is_of_call: bool = False
    """Whether it scores the recorded call, which some answers lack, and not the answer's text."""

    @property
    def is_two_valued(self) -> bool:
        """Whether a score is 0 or 1, as far as the metric itself says."""
        return isinstance(self.scorer, Judged) or (isinstance(self.scorer, Exact) and self.scorer.references == "best")

    @property
    def is_computed(self) -> bool:
        """Whether the text alone decides a score: not of a metric of the call, nor of a judge's recorded verdict."""
        return not self.is_of_call and not isinstance(self.scorer, Judged)

    def describe(self, samples: Sequence[Sample] = ()) -> dict[str, Any]:
        """Return the grounds of its scores, for results and snapshots; of `samples` only the number of references counts."""
        described = self.scorer.describe(self.name, samples)
        return described if self.higher_is_better else {**described, "higher_is_better": False}


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


def plain_name(name: str, metrics: Mapping[str, Metric]) -> str:
    """Return the metric that a bound names: of a judge's corrected mean, the judge's metric."""
    return name if name in metrics else name.removesuffix(CORRECTED)


def build_metrics(specs: Mapping[str, MetricSpec], place: str, root: Path) -> Metrics:
    """Return the metrics of a suite by name, in the order of the suite.

    `place` names the table in messages (`evals/suites/chats.toml: [metrics]`); functions are imported from below `root`.
    Raises `UserError` for a metric that can't be computed.
    """
    groups: dict[Key, dict[str, str]] = {}
    for name, spec in specs.items():
        if spec.kind == "rouge":
            groups.setdefault(_key(spec), {})[name] = spec.options.get("references", "best")
    rouge = {}
    for (name, stemmer), metrics in groups.items():
        tokenizer = _tokenizer(name, stemmer, f"{place} {next(iter(metrics))}", root)
        rouge[name, stemmer] = RougeScores(metrics, tokenizer, stemmer)
    return Metrics({name: _metric(spec, rouge, place, root) for name, spec in specs.items()})


def score_answer(
    metrics: Mapping[str, Metric], sample: Sample, answer: str, call: CallFacts
) -> tuple[dict[str, float], dict[str, str]]:
    """Return the scores of an answer, and why other metrics give no score; each metric is in either.

    Every score is finite.
    """
    computed: dict[int, Mapping[str, float] | str] = {}
    scores, unscored = dict[str, float](), dict[str, str]()
    for name, metric in metrics.items():
        result = computed.get(id(metric.scorer))
        if result is None:
            try:
                result = metric.scorer.score(sample, answer, call)
            except Unscored as reason:
                result = visible(str(reason))
            computed[id(metric.scorer)] = result
        if isinstance(result, str):
            unscored[name] = result
        else:
            scores[name] = result[name]
    return scores, unscored


def check_bound(metric: Metric, bound: float, difference: bool = False) -> str | None:
    """Return why no mean can reach a gate, to follow its key in a message, or None for a gate within the metric's bounds.

    For `rouge1` and 38 that is `= 38: a mean of rouge1 is between 0 and 1. Did you mean 0.38?`. With `difference`, `bound`
    is that of a comparison (min_gain, max_drop): from 0 to the distance of the metric's bounds.
    """
    low, high = metric.bounds
    if difference:
        low, high = 0.0, None if low is None or high is None else high - low
    if is_within(bound, (low, high)):
        return None
    hint = f" Did you mean {bound / 100:g}?" if high == 1 and 1 < bound <= 100 else ""
    what = "difference" if difference else "mean"
    return f"= {bound:.15g}: a {what} of {metric.name} is {spelled((low, high))}.{hint}"


Key = tuple[str, bool]
"""ROUGE metrics with one key share a scorer: the tokenizer as the suite spells it, and whether words are stemmed."""


def _key(spec: MetricSpec) -> Key:
    return spec.options.get("tokenizer", "rouge"), spec.options.get("stemmer", False)


def _tokenizer(name: str, stemmer: bool, place: str, root: Path) -> "str | UserFunction":
    if name in ("rouge", "unicode"):
        return name
    if stemmer:
        raise UserError(f"{place}: stemmer = true: {name} is a function of your own; let it stem, and leave stemmer out")
    from evaltape.metrics.functions import load_function

    return load_function(name, root, ("text",), f"{place}: tokenizer = {name!r}")


def _metric(spec: MetricSpec, rouge: Mapping[Key, RougeScores], place: str, root: Path) -> Metric:
    references = spec.options.get("references", "best")
    match spec.kind:
        case "rouge":
            return Metric(spec.name, rouge[_key(spec)], place)
        case "chrf" | "bleu":
            if importlib.util.find_spec("sacrebleu") is None:
                install = "Install it: pip install 'evaltape[metrics]'"
                raise UserError(f"{place} {spec.name} needs sacrebleu, which isn't installed. {install}")
            return Metric(spec.name, SacrebleuScores(spec.name, references), place)
        case "exact":
            return Metric(spec.name, Exact(references), place)
        case "words":
            return Metric(spec.name, Words(), place, False, (0.0, None), "words", decimals=1)
        case "latency_s":
            return Metric(spec.name, Recorded(spec.name), place, False, (0.0, None), "s", decimals=2, is_of_call=True)
        case "cost_usd":
            return Metric(spec.name, Recorded(spec.name), place, False, (0.0, None), "USD", decimals=6, is_of_call=True)
        case "judge":
            return Metric(spec.name, Judged(spec.options["judge"]), place)
    return _function(spec, place, root)


def _function(spec: MetricSpec, place: str, root: Path) -> Metric:
    from evaltape.metrics.functions import FunctionScores, declaration_of, load_function

    name = spec.options["function"]
    function = load_function(name, root, ("sample", "answer"), f"{place} {spec.name}: function = {name!r}")
    declared = declaration_of(function.function)
    scorer = FunctionScores(spec.name, function, declared.bounds)
    return Metric(spec.name, scorer, place, declared.higher_is_better, declared.bounds)
