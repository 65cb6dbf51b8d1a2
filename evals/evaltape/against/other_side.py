"""The other side of a session: every model beside what was recorded of it there, each compared once."""

from collections.abc import Mapping
from dataclasses import replace

from evaltape.against.earlier import Answers, Content, Earlier, changed_request, content_of, refuse_unfinished
from evaltape.against.findings import ModelAgainst, Pair, SampleChanges, Side
from evaltape.against.places import find_places
from evaltape.against.tree import Tree, Unreadable
from evaltape.errors import RecordingError
from evaltape.recording.folder import extracted
from evaltape.recording.verdicts import Asked, RecordedVerdict
from evaltape.samples.answer import Answer
from evaltape.samples.sample import Sample
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.scores import ModelScores
from evaltape.suite.definition import Model
from evaltape.workspace import CALL_KINDS, Verdict, Workspace


class OtherSide:
    """What `--against` names. It reads a suite or a model when the first comparison asks for it."""

    def __init__(self, tree: Tree) -> None:
        self.side = Side(tree.ref, tree.commit, tree.title)
        self._tree = tree
        self._suites: dict[str, Earlier | Unreadable] = {}
        self._compared: dict[tuple[str, str], ModelAgainst] = {}

    def compare(self, workspace: Workspace, scores: ModelScores) -> ModelAgainst:
        """Return a model, with its scores on all samples of its suite, beside the other side."""
        key = (workspace.name, scores.model.key)
        if key not in self._compared:
            try:
                self._compared[key] = self._beside(workspace, scores)
            except (Unreadable, RecordingError) as error:
                self._compared[key] = self.not_compared(workspace, scores.model, str(error))
        return self._compared[key]

    def not_compared(self, workspace: Workspace, model: Model, reason: str) -> ModelAgainst:
        """Return a model that isn't compared, for a reason."""
        bounds = workspace.suite.against.max_drop if workspace.suite.against else {}
        return ModelAgainst(model, workspace.metrics, bounds, self.side, reason)

    def _beside(self, workspace: Workspace, scores: ModelScores) -> ModelAgainst:
        refuse_unfinished(workspace.folder, scores.model.key, f"the recording of {scores.model.key}")
        earlier = self._earlier(workspace)
        common, changes = _split(workspace.samples, earlier.samples)
        nothing = self.not_compared(workspace, scores.model, "")
        if not common:
            reason = f"no sample has the same input and references at {self.side.ref}"
            return replace(nothing, not_compared=reason, samples=changes)
        answers = earlier.answers(scores.model, common)
        return replace(
            nothing,
            pairs=_pairs(workspace, common, answers, scores, earlier),
            samples=changes,
            request=changed_request(workspace, scores.model, common, answers.requests),
            clusters=scores.clusters,
        )

    def _earlier(self, workspace: Workspace) -> Earlier:
        if workspace.name not in self._suites:
            try:
                self._suites[workspace.name] = Earlier(find_places(self._tree, workspace))
            except Unreadable as error:
                self._suites[workspace.name] = error
        earlier = self._suites[workspace.name]
        if isinstance(earlier, Unreadable):
            raise earlier
        return earlier


def _split(today: list[Sample], earlier: Mapping[str, Content]) -> tuple[list[Sample], SampleChanges]:
    """Return the samples that both sides have alike, and what became of the others."""
    common = [sample for sample in today if earlier.get(sample.id) == content_of(sample)]
    alike, ids = {sample.id for sample in common}, {sample.id for sample in today}
    return common, SampleChanges(
        added=[sample.id for sample in today if sample.id not in earlier],
        dropped=[name for name in earlier if name not in ids],
        changed=[sample.id for sample in today if sample.id in earlier and sample.id not in alike],
    )


def _pairs(workspace: Workspace, samples: list[Sample], answers: Answers, scores: ModelScores, earlier: Earlier) -> list[Pair]:
    today = {prediction.sample.id: prediction for prediction in scores.predictions}
    scores_calls = any(spec.kind in CALL_KINDS for spec in workspace.suite.metrics.values())
    steps = workspace.steps(scores.model)
    before = {sample.id: extracted(answers.answers[sample.id], steps) for sample in samples}
    changed = {name for name, answer in before.items() if scores_calls or answer.text != today[name].text}
    verdicts = _verdicts(workspace, scores.model, [(it, before[it.id]) for it in samples if it.id in changed], earlier)
    pairs = []
    for sample in samples:
        answer, after = before[sample.id], today[sample.id]
        if answer.failure is None and after.answered and sample.id not in changed:
            pairs.append(Pair(Prediction(after.model, sample, answer, after.scores, after.unscored), after))
        else:
            scored = workspace.scored(after.model, sample, answer, _recalled(verdicts, sample.id))
            pairs.append(Pair(scored, after))
    return pairs


def _verdicts(
    workspace: Workspace, model: Model, answers: list[tuple[Sample, Answer]], earlier: Earlier
) -> Mapping[tuple[str, str], RecordedVerdict]:
    """Return what the suite's judges said of answers there, by judge and sample."""
    judges = {judge.key: judge for judge in workspace.judged_by.values()}.values()
    answered = [(sample, answer.text) for sample, answer in answers if answer.failure is None]
    return earlier.verdicts([Asked(judge, sample, text, model.key) for judge in judges for sample, text in answered])


def _recalled(verdicts: Mapping[tuple[str, str], RecordedVerdict], sample: str) -> Verdict:
    return lambda judge: verdicts[judge.key, sample]
