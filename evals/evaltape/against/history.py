"""`--history`: the answers of the last commits that changed a suite's recordings, scored by today's metrics.

A commit's samples count that have the input and references of today's. An answer that the commit before had too keeps its
scores.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from evaltape.against.commit import SHORT, Commit
from evaltape.against.earlier import Earlier, content_of
from evaltape.against.other_side import past_predictions
from evaltape.against.places import find_places
from evaltape.against.recorded import NOT_RECORDED
from evaltape.against.tree import CommitTree, Unreadable
from evaltape.errors import RecordingError, UserError
from evaltape.git import GitError, Repository, repository_of
from evaltape.names import shown
from evaltape.scoring.bounds import FAILED
from evaltape.scoring.paired import Difference
from evaltape.scoring.paired_scores import PairedScores, Side, against_comparison
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.scores import ModelScores
from evaltape.suite.definition import Model
from evaltape.text import counted
from evaltape.workspace import Workspace


class Moment(msgspec.Struct, frozen=True):
    """A model at a commit."""

    commit: Commit
    scores: ModelScores | None
    """The scores on the samples that are as today; None if its answers can't be read."""
    reason: str = ""
    """Why they can't be read."""
    falls: Mapping[str, Difference] = {}
    """By metric that became worse by more than noise, the difference to the moment before."""


class Histories:
    """The histories of a session's models, in the repository of its root folder."""

    def __init__(self, root: Path, most: int) -> None:
        """Find the repository. Raises `UserError` if there is none, or if it lacks earlier commits."""
        self._most = most
        repository = repository_of(root)
        if repository is None:
            raise UserError(f"--history reads recordings from git, and {shown(root)} is in no git repository that can be read")
        if repository.line("rev-parse", "--is-shallow-repository") == "true":
            raise UserError(
                "--history: this clone is shallow and lacks earlier commits. Fetch them: git fetch --unshallow "
                "(actions/checkout: fetch-depth: 0)"
            )
        self._repository = repository
        self._trees: dict[str, CommitTree] = {}

    def commits(self, workspace: Workspace) -> list[Commit]:
        """Return the last commits that changed recordings of a suite, oldest first; of a merge its first parent's line."""
        paths = [workspace.folder, *(it.predictions for it in workspace.suite.models.values() if it.predictions)]
        places = [str(path) for path in paths if path.resolve().is_relative_to(self._repository.top.resolve())]
        return list(_commits(self._repository, self._most, places))[::-1] if places else []

    def of(self, model: Model, workspace: Workspace, commits: Sequence[Commit]) -> list[Moment]:
        """Return a model at some commits, oldest first."""
        known = [Prediction(model, sample, NOT_RECORDED) for sample in workspace.samples]
        last: Moment | None = None
        moments = []
        for commit in commits:
            moment = self._moment(model, workspace, commit, known)
            if moment.scores is not None:
                latest = {one.sample.id: one for one in moment.scores.predictions}
                known = [latest.get(one.sample.id, one) for one in known]
                moment = msgspec.structs.replace(moment, falls=_falls(last, moment))
                last = moment
            moments.append(moment)
        return moments

    def _moment(self, model: Model, workspace: Workspace, commit: Commit, known: Sequence[Prediction]) -> Moment:
        tree = self._trees.setdefault(commit.id, CommitTree(self._repository, commit))
        try:
            earlier = Earlier(find_places(tree, workspace))
            same = [one for one in known if earlier.samples.get(one.sample.id) == content_of(one.sample)]
            if not same:
                return Moment(commit, None, "no sample has the input and references of today's")
            answers = earlier.answers(model, [one.sample for one in same])
            predictions = past_predictions(workspace, answers, same, earlier)
        except (Unreadable, RecordingError) as error:
            return Moment(commit, None, str(error))
        scores = ModelScores(model, workspace.metrics, predictions, workspace.clusters, grounds=workspace.grounds)
        if not scores.answered:
            return Moment(commit, None, f"none of {counted(len(same), 'sample')} is answered")
        return Moment(commit, scores)


def _commits(repository: Repository, most: int, places: Sequence[str]) -> Iterator[Commit]:
    words = ("log", "--first-parent", "--no-show-signature", f"--max-count={most}", "--format=%H %cs", "HEAD", "--")
    try:
        lines = repository.run("--literal-pathspecs", *words, *places).decode().split("\n")
    except GitError:  # No commit yet.
        return
    for name, _, day in (line.partition(" ") for line in lines if line):
        yield Commit(name[:SHORT], name, day, is_merge_base=False)


def _falls(before: Moment | None, after: Moment) -> dict[str, Difference]:
    """Return the differences that `--against` would let fail with a `max_drop` of 0."""
    if before is None or before.scores is None or after.scores is None:
        return {}
    comparison = against_comparison(after.scores.model, Side(before.commit.ref, before.commit.id, before.commit.title))
    metrics = after.scores.metrics
    paired = PairedScores(comparison=comparison, metrics=metrics, baseline=before.scores, candidate=after.scores)
    return {
        name: found
        for name, found in paired.differences.items()
        if found.decided(0.0, metrics[name].higher_is_better)[0] == FAILED
    }
