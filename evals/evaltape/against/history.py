"""`--history`: the answers of the last commits that changed a suite's recordings, scored by today's metrics.

A commit's samples count that have the input and references of today's. An answer that the commit before had too keeps its
scores.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from evaltape.against.earlier import Earlier, content_of
from evaltape.against.other_side import NOT_RECORDED, past_predictions
from evaltape.against.tree import SHORT, UNSHALLOW, Commit, CommitTree, Unreadable, is_shallow
from evaltape.errors import RecordingError, UserError
from evaltape.git import repository_of
from evaltape.metrics.metric import Metric
from evaltape.names import shown
from evaltape.scoring.bounds import FAILED
from evaltape.scoring.noise import Noise
from evaltape.scoring.paired import Difference
from evaltape.scoring.paired_scores import Side, against_scores
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.scores import ModelScores
from evaltape.suite.definition import Model
from evaltape.text import counted
from evaltape.workspace import Workspace


class Fall(msgspec.Struct, frozen=True):
    """A metric that became worse by more than noise."""

    found: Difference
    """The difference to the moment before."""
    smallest_drop: float | None = None
    """The smallest drop that is more than noise by the model's repeats; None if the interval decided, without such repeats."""


class Moment(msgspec.Struct, frozen=True):
    """A model at a commit."""

    commit: Commit
    scores: ModelScores | None
    """The scores on the samples that are as today; None if its answers can't be read."""
    reason: str = ""
    """Why they can't be read."""
    falls: Mapping[str, Fall] = {}
    """By metric that became worse by more than noise."""

    @property
    def answered(self) -> int:
        """How many samples are answered."""
        return 0 if self.scores is None else len(self.scores.answered)

    @property
    def means(self) -> Mapping[str, float]:
        """The mean of each metric that scored an answer."""
        scores = self.scores
        return {} if scores is None else {name: scores.mean(name) for name in scores.metrics if scores.scored(name)}


class Histories:
    """The histories of a session's models, in the repository of its root folder."""

    def __init__(self, root: Path, most: int) -> None:
        """Find the repository. Raises `UserError` if there is none, or if it lacks earlier commits."""
        self._most = most
        repository = repository_of(root)
        if repository is None:
            raise UserError(f"--history reads recordings from git, and {shown(root)} is in no git repository that can be read")
        if is_shallow(repository):
            raise UserError(f"--history: this clone is shallow and lacks earlier commits. Fetch them: {UNSHALLOW}")
        self._repository = repository
        self._trees: dict[str, CommitTree] = {}

    def of(self, models: Iterable[Model], workspace: Workspace) -> dict[str, list[Moment]]:
        """Return models of a suite at its commits, oldest first, by key; nothing if no commit has recordings of it."""
        commits = self._commits(workspace)
        return {model.key: self._of(model, workspace, commits) for model in models} if commits else {}

    def _commits(self, workspace: Workspace) -> list[Commit]:
        """Return the last commits that changed recordings of a suite, oldest first; of a merge its first parent's line."""
        paths = [workspace.folder, *(it.predictions for it in workspace.suite.models.values() if it.predictions)]
        places = [str(path) for path in paths if path.resolve().is_relative_to(self._repository.top.resolve())]
        if not places:
            return []
        words = ("log", "--first-parent", "--no-show-signature", f"--max-count={self._most}", "--format=%H %cs", "HEAD", "--")
        lines = self._repository.lines("--literal-pathspecs", *words, *places)  # None before the first commit.
        named = [line.partition(" ") for line in reversed(lines)]
        return [Commit(name[:SHORT], name, day, is_merge_base=False) for name, _, day in named]

    def _of(self, model: Model, workspace: Workspace, commits: Sequence[Commit]) -> list[Moment]:
        noise = _noise(model, workspace)
        known = [Prediction(model, sample, NOT_RECORDED) for sample in workspace.samples]
        last: Moment | None = None
        moments = []
        for commit in commits:
            moment = self._moment(model, workspace, commit, known)
            if moment.scores is not None:
                latest = {one.sample.id: one for one in moment.scores.predictions}
                known = [latest.get(one.sample.id, one) for one in known]
                moment = msgspec.structs.replace(moment, falls=_falls(last, moment, noise))
                last = moment
            moments.append(moment)
        return moments

    def _moment(self, model: Model, workspace: Workspace, commit: Commit, known: Sequence[Prediction]) -> Moment:
        tree = self._trees.setdefault(commit.id, CommitTree(self._repository, commit))
        try:
            earlier = Earlier(tree, workspace)
            same = [one for one in known if earlier.samples.get(one.sample.id) == content_of(one.sample)]
            if not same:
                return Moment(commit, None, "no sample has the input and references of today's")
            answers = earlier.answers(model, [one.sample for one in same])
            predictions = past_predictions(workspace, answers, same, earlier)
        except (Unreadable, RecordingError) as error:
            return Moment(commit, None, str(error))
        scores = workspace.scores(model, predictions)
        if not scores.answered:
            return Moment(commit, None, f"none of {counted(len(same), 'sample')} is answered")
        return Moment(commit, scores)


def _noise(model: Model, workspace: Workspace) -> Mapping[str, Noise]:
    """Return the noise of today's means by the repeats that are recorded of a model; empty without repeats."""
    if not workspace.recordings.repeats(model):
        return {}
    predictions = [workspace.recorded(model, sample) for sample in workspace.samples]
    return workspace.noise(workspace.scores(model, predictions))


def _falls(before: Moment | None, after: Moment, noise: Mapping[str, Noise]) -> dict[str, Fall]:
    if before is None or before.scores is None or after.scores is None:
        return {}
    side, metrics = Side(before.commit.ref, before.commit.id, before.commit.title), after.scores.metrics
    paired = against_scores(side, before.scores, after.scores)
    falls = {name: _fall(found, metrics[name], noise.get(name)) for name, found in paired.differences.items()}
    return {name: fall for name, fall in falls.items() if fall is not None}


def _fall(found: Difference, metric: Metric, noise: Noise | None) -> Fall | None:
    """Return a difference that is a fall: beyond the noise of as many samples, or else where a `max_drop` of 0 would fail."""
    if noise is not None and noise.smallest_drop is not None and noise.of == found.samples:
        drop = -found.mean if metric.higher_is_better else found.mean
        return Fall(found, noise.smallest_drop) if drop > noise.smallest_drop else None
    return Fall(found) if found.verdict(0.0, metric.higher_is_better) == FAILED else None
