"""The other side of a session: every model beside its recording there, each compared once.

Beside it, the recorded answers of today that the suite may have left behind: they show the spread of a next recording.
"""

from collections.abc import Mapping, Sequence

import msgspec

from evaltape.against.earlier import (
    Answers,
    Content,
    Earlier,
    asked_otherwise,
    content_of,
    refuse_unfinished,
)
from evaltape.against.tree import Tree, Unreadable
from evaltape.errors import RecordingError
from evaltape.recording.folder import extracted
from evaltape.recording.verdicts import Asked
from evaltape.samples.sample import Answer, Failure, Sample
from evaltape.scoring.paired_scores import AgainstScores, SampleChanges, Side, against_scores
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.scores import ModelScores
from evaltape.suite.definition import Model
from evaltape.workspace import Workspace

NOT_RECORDED = Answer(failure=Failure("not recorded", "not recorded"))


class OtherSide:
    """The commit or folder that `--against` names. It reads a suite or a model when the first comparison asks for it."""

    def __init__(self, tree: Tree) -> None:
        self.side = tree.side
        self._tree = tree
        self._suites: dict[str, Earlier] = {}
        self._compared: dict[tuple[str, str], AgainstScores] = {}

    def compare(self, workspace: Workspace, scores: ModelScores) -> AgainstScores:
        """Return a model, with its scores on all samples of its suite, beside the other side."""
        key = (workspace.name, scores.model.key)
        if key not in self._compared:
            try:
                self._compared[key] = self._beside(workspace, scores)
            except (Unreadable, RecordingError) as error:
                self._compared[key] = self.not_compared(workspace, scores.model, str(error))
        return self._compared[key]

    def not_compared(self, workspace: Workspace, model: Model, reason: str) -> AgainstScores:
        """Return a model that isn't compared, for a reason."""
        nothing = ModelScores(model, workspace.metrics, (), workspace.clusters)
        max_drop = workspace.suite.against.max_drop if workspace.suite.against else {}
        return msgspec.structs.replace(against_scores(self.side, nothing, nothing, max_drop), not_compared=reason)

    def _beside(self, workspace: Workspace, scores: ModelScores) -> AgainstScores:
        refuse_unfinished(workspace.folder, scores.model.key, f"the recording of {scores.model.key}")
        earlier = self._earlier(workspace)
        common, changes = _split(workspace.samples, earlier.samples)
        nothing = self.not_compared(workspace, scores.model, "")
        if not common:
            reason = f"no sample has the same input and references at {self.side.ref}"
            return msgspec.structs.replace(nothing, not_compared=reason, samples=changes)
        answers = earlier.answers(scores.model, common)
        both = {sample.id for sample in common}
        today = [one for one in scores.predictions if one.sample.id in both]
        request, prompt = asked_otherwise(workspace, scores.model, common, answers.requests)
        then = past_predictions(workspace, answers, today, earlier)
        return msgspec.structs.replace(
            nothing,
            baseline=msgspec.structs.replace(nothing.baseline, predictions=then),
            candidate=msgspec.structs.replace(nothing.candidate, predictions=today),
            samples=changes,
            request=request,
            prompt=prompt,
        )

    def _earlier(self, workspace: Workspace) -> Earlier:
        if workspace.name not in self._suites:
            self._suites[workspace.name] = Earlier(self._tree, workspace)
        return self._suites[workspace.name]


def _split(today: list[Sample], earlier: Mapping[str, Content]) -> tuple[list[Sample], SampleChanges]:
    """Return the samples that both sides have alike, and the changes of the others."""
    common = [sample for sample in today if earlier.get(sample.id) == content_of(sample)]
    alike, ids = {sample.id for sample in common}, {sample.id for sample in today}
    return common, SampleChanges(
        added=[sample.id for sample in today if sample.id not in earlier],
        dropped=[name for name in earlier if name not in ids],
        changed=[sample.id for sample in today if sample.id in earlier and sample.id not in alike],
    )


def past_predictions(workspace: Workspace, answers: Answers, today: Sequence[Prediction], earlier: Earlier) -> list[Prediction]:
    """Return the answers of the other side by today's metrics: equal answers have the scores of `today`."""
    if not today:
        return []
    model, by_call = today[0].model, any(metric.is_of_call for metric in workspace.metrics.values())
    steps = workspace.steps(model)
    pairs = [(after, extracted(answers.answers[after.sample.id], steps)) for after in today]
    changed = {after.sample.id for after, answer in pairs if by_call or answer.text != after.text}
    asked = [(after.sample, answer.text) for after, answer in pairs if after.sample.id in changed and answer.failure is None]
    verdicts = earlier.verdicts([Asked(judge, sample, text, model.key) for judge in workspace.judges for sample, text in asked])
    return [
        Prediction(model, after.sample, answer, after.scores, after.unscored)
        if answer.failure is None and after.answered and after.sample.id not in changed
        else workspace.scored(model, after.sample, answer, verdicts=verdicts)
        for after, answer in pairs
    ]


def scores_recorded(workspace: Workspace, model: Model, samples: Sequence[Sample]) -> ModelScores:
    """Return a model's scores by its recorded answers to samples of the same input and references; the others are failed."""
    answers, steps = _answers(workspace, model, samples), workspace.steps(model)
    found = [(sample, extracted(answers.get(sample.id, NOT_RECORDED), steps)) for sample in samples]
    predictions = [workspace.scored(model, sample, answer) for sample, answer in found]
    return ModelScores(model, workspace.metrics, predictions, workspace.clusters)


def _answers(workspace: Workspace, model: Model, samples: Sequence[Sample]) -> dict[str, Answer]:
    if model.predictions is not None:
        return {sample.id: workspace.recordings.answer(model, sample) for sample in samples}
    cassettes = workspace.settings.cassettes
    try:
        earlier = Earlier(Tree(Side(str(cassettes)), cassettes, cassettes), workspace)
        same = [sample for sample in samples if earlier.samples.get(sample.id) == content_of(sample)]
        return dict(earlier.answers(model, same).answers)
    except Unreadable:
        return {}
