"""The noise of a model's means, from the repeats that are recorded of it."""

from collections.abc import Mapping

from evaltape.errors import RecordingError
from evaltape.scoring.noise import Noise, noise_of
from evaltape.scoring.scores import ModelScores
from evaltape.workspace import Workspace


def model_noise(workspace: Workspace, scores: ModelScores) -> dict[str, Noise]:
    """Return the noise of each metric's mean, from the repeats that are recorded of a model."""
    answers = _repeated_answers(workspace, scores)
    if not any(len(each) > 1 for each in answers):
        return {}
    columns = {name: [[each[name] for each in sample if name in each] for sample in answers] for name in workspace.metrics}
    scored = {name: [sample for sample in column if sample] for name, column in columns.items()}
    metrics = workspace.metrics
    noise = {name: noise_of(each, metrics[name].higher_is_better, metrics[name].bounds) for name, each in scored.items()}
    return {name: each for name, each in noise.items() if each is not None}


def _repeated_answers(workspace: Workspace, scores: ModelScores) -> list[list[Mapping[str, float]]]:
    """Return per answered sample the scores of its first answer and of every further valid recording."""
    repeats = workspace.recordings.repeats(scores.model)
    answers: list[list[Mapping[str, float]]] = []
    model = scores.model
    for first in scores.answered:
        sample = first.sample
        answers.append([first.scores])
        for repeat in repeats.get(sample.name, ()):
            try:
                answer = workspace.recordings.valid_answer(model, sample, repeat)
                again = workspace.scored(model, sample, answer, workspace.asked(model, sample, answer.text, repeat))
            except RecordingError:
                continue
            if again.answered:
                answers[-1].append(again.scores)
    return answers
