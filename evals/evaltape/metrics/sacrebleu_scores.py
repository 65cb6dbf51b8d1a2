"""chrF and BLEU by `sacrebleu`: sentence scores per sample, in 0..1.

Sources: Popović (2015), chrF; Papineni et al. (2002), BLEU; Post (2018), sacreBLEU and its signatures. BLEU of one sentence
needs smoothing (`exp`, sacrebleu's default) and the effective order, as sacrebleu advises.
"""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from evaltape.metrics.scorer import CallFacts, Sample, combined, references_of


@dataclass(frozen=True)
class SacrebleuScores:
    """The scorer of `chrf` or `bleu`.

    Several references are given to sacrebleu together (chrF: the nearest one, BLEU: n-grams of all of them), or one by one
    for their mean.
    """

    name: str
    """`chrf` or `bleu`."""
    references: str = "best"
    """`best` or `mean`."""

    def score(self, sample: Sample, answer: str, call: CallFacts) -> Mapping[str, float]:
        """Return the sentence score of the answer in 0..1."""
        references = references_of(sample)
        together = [references] if self.references == "best" else [(reference,) for reference in references]
        scores = [self._metric.sentence_score(answer, list(texts)).score / 100 for texts in together]
        return {self.name: min(1.0, combined(scores, self.references))}  # sacrebleu's 100 can be 100.00000000000004

    def describe(self, name: str, samples: Sequence[Sample]) -> dict[str, Any]:
        """Return sacrebleu's version and signature, with `nrefs` as the number of the samples' references or `var`."""
        import sacrebleu

        counts = {1} if self.references == "mean" else {len(sample.references) for sample in samples}
        metric = self._new()
        metric.num_refs = counts.pop() if len(counts) == 1 else -1
        described = {"package": f"sacrebleu {sacrebleu.__version__}", "signature": str(metric.get_signature())}
        return described if self.references == "best" else {**described, "references": self.references}

    @cached_property
    def _metric(self) -> Any:
        return self._new()

    def _new(self) -> Any:
        from sacrebleu.metrics import BLEU, CHRF

        return CHRF() if self.name == "chrf" else BLEU(effective_order=True)


def is_installed() -> bool:
    """Return whether the package is there, without importing it."""
    return importlib.util.find_spec("sacrebleu") is not None
