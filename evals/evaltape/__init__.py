"""Test-driven evaluation of models that summarise: a pytest plugin.

In tests and metrics of your own:

    import evaltape

    @evaltape.metric(higher_is_better=False, bounds=(0, 1))
    def repetition(sample: evaltape.Sample, answer: str) -> float: ...

    def test_short(prediction: evaltape.Prediction):
        assert len(prediction.text.split()) <= 30

To read the code, follow one sample: `suite` (what is evaluated) -> `samples` -> `recorder` (asks the model) -> `recording`
(the cassette) -> `workspace` and `evaluation` (its prediction, scored by `scoring`) -> `plugin` (the fixtures) -> `reporting`.
Imports go one way: plugin, hooks, reporting and evaluation, recorder, workspace, finetuning, recording, scoring, samples and
suite.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evaltape.finetuning.recorded_job import Job as Job
    from evaltape.judging.exam import Examined as Examined
    from evaltape.metrics.functions import metric as metric
    from evaltape.mutation.model_mutants import TestedMutants as TestedMutants
    from evaltape.mutation.operators import operator as operator
    from evaltape.samples.sample import Sample as Sample
    from evaltape.scoring.paired_scores import AgainstScores as AgainstScores
    from evaltape.scoring.paired_scores import PairedScores as PairedScores
    from evaltape.scoring.prediction import Prediction as Prediction
    from evaltape.scoring.scores import ModelScores as ModelScores
    from evaltape.scoring.slices import SliceScores as SliceScores

__version__ = "0.2.0"

_HOME = {
    "metric": "evaltape.metrics.functions",
    "operator": "evaltape.mutation.operators",
    "Sample": "evaltape.samples.sample",
    "Prediction": "evaltape.scoring.prediction",
    "ModelScores": "evaltape.scoring.scores",
    "PairedScores": "evaltape.scoring.paired_scores",
    "AgainstScores": "evaltape.scoring.paired_scores",
    "TestedMutants": "evaltape.mutation.model_mutants",
    "Examined": "evaltape.judging.exam",
    "Job": "evaltape.finetuning.recorded_job",
    "SliceScores": "evaltape.scoring.slices",
}
"""Where each public name is defined. It is imported on first use, so that `import evaltape` costs next to nothing."""
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'evaltape' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
