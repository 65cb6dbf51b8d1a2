"""What is recorded of a model now, whether or not it is still what the suite asks for: the spread of a next recording."""

from collections.abc import Sequence

from evaltape.against.earlier import Earlier, content_of
from evaltape.against.places import find_places
from evaltape.against.tree import FolderTree, Unreadable
from evaltape.recording.folder import extracted
from evaltape.samples.sample import Answer, Failure, Sample
from evaltape.scoring.scores import ModelScores
from evaltape.suite.definition import Model
from evaltape.workspace import Workspace

NOT_RECORDED = Answer(failure=Failure("not recorded", "not recorded"))


def scores_recorded(workspace: Workspace, model: Model, samples: Sequence[Sample]) -> ModelScores:
    """Return a model's scores by its recorded answers to samples of the same input and references; the others are failed."""
    answers, steps = _answers(workspace, model, samples), workspace.steps(model)
    predictions = [
        workspace.scored(model, sample, extracted(answers.get(sample.id, NOT_RECORDED), steps)) for sample in samples
    ]
    return ModelScores(model, workspace.metrics, predictions, workspace.clusters)


def _answers(workspace: Workspace, model: Model, samples: Sequence[Sample]) -> dict[str, Answer]:
    if model.predictions is not None:
        return {sample.id: workspace.recordings.answer(model, sample) for sample in samples}
    cassettes = workspace.settings.cassettes
    try:
        earlier = Earlier(find_places(FolderTree(cassettes, str(cassettes), cassettes), workspace))
        same = [sample for sample in samples if earlier.samples.get(sample.id) == content_of(sample)]
        return dict(earlier.answers(model, same).answers)
    except Unreadable:
        return {}
