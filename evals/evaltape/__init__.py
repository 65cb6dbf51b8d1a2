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
    from evaltape.finetuning.recorded_job import Job
    from evaltape.judging.exam import Examined
    from evaltape.metrics.functions import metric
    from evaltape.mutation.model_mutants import TestedMutants
    from evaltape.mutation.operators import operator
    from evaltape.samples.sample import Sample
    from evaltape.scoring.paired_scores import AgainstScores, PairedScores
    from evaltape.scoring.prediction import Prediction
    from evaltape.scoring.scores import ModelScores
    from evaltape.scoring.slices import SliceScores

__all__ = [
    "AgainstScores",
    "Examined",
    "Job",
    "ModelScores",
    "PairedScores",
    "Prediction",
    "Sample",
    "SliceScores",
    "TestedMutants",
    "metric",
    "operator",
]
__version__ = "0.2.0"

_HOME = {
    "metric": ("evaltape.metrics.functions", "metric"),
    "operator": ("evaltape.mutation.operators", "operator"),
    "Sample": ("evaltape.samples.sample", "Sample"),
    "Prediction": ("evaltape.scoring.prediction", "Prediction"),
    "ModelScores": ("evaltape.scoring.scores", "ModelScores"),
    "PairedScores": ("evaltape.scoring.paired_scores", "PairedScores"),
    "AgainstScores": ("evaltape.scoring.paired_scores", "AgainstScores"),
    "TestedMutants": ("evaltape.mutation.model_mutants", "TestedMutants"),
    "Examined": ("evaltape.judging.exam", "Examined"),
    "Job": ("evaltape.finetuning.recorded_job", "Job"),
    "SliceScores": ("evaltape.scoring.slices", "SliceScores"),
}
"""Where each public name is defined. It is imported on first use, so that `import evaltape` costs next to nothing."""


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'evaltape' has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _HOME[name]
    return getattr(import_module(module), attribute)
