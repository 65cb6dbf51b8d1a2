"""ROUGE by `rouge_score`: one computation for every model, per sample, F1 in 0..1."""

import importlib.metadata
from collections.abc import Callable
from functools import lru_cache

from evaltape.suite.definition import MetricSpec

LEAD_LINES = 3


@lru_cache(maxsize=4)
def scorer(metrics: tuple[str, ...], stemmer: bool) -> Callable[[str, str], dict[str, float]]:
    """A function of (reference, prediction) to the F1 of each metric.

    Source: Lin (2004), ROUGE, as implemented by `rouge_score.rouge_scorer`. Its tokeniser keeps a-z and 0-9 only.
    """
    from rouge_score.rouge_scorer import RougeScorer

    rouge = RougeScorer(list(metrics), use_stemmer=stemmer)

    def score(reference: str, prediction: str) -> dict[str, float]:
        scores = rouge.score(reference, prediction)
        return {metric: float(scores[metric].fmeasure) for metric in metrics}

    return score


def scorer_of(metrics: tuple[MetricSpec, ...]) -> Callable[[tuple[str, ...], str], dict[str, float]]:
    """Return a function of (references, prediction) to the F1 of each metric of a suite, the best of several references."""
    names: dict[bool, tuple[str, ...]] = {}
    for spec in metrics:
        stemmer = bool(spec.options.get("stemmer"))
        names[stemmer] = (*names.get(stemmer, ()), spec.name)
    scorers = [scorer(alike, stemmer) for stemmer, alike in names.items()]

    def score(references: tuple[str, ...], prediction: str) -> dict[str, float]:
        each = [{k: v for one in scorers for k, v in one(reference, prediction).items()} for reference in references]
        return {spec.name: max(scores[spec.name] for scores in each) for spec in metrics}

    return score


def package() -> str:
    """Name and version of the package that computes the scores."""
    return f"rouge_score {importlib.metadata.version('rouge_score')}"


def lead(text: str) -> str:
    """The first three lines of the input: the classic summary that costs nothing and that a model has to beat."""
    return "\n".join(text.splitlines()[:LEAD_LINES])
