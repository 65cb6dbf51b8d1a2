"""The gates that `--suggest` finds for a model, from recordings alone."""

from evaltape.evaluation import Evaluation
from evaltape.hooks.collect_noise import model_noise
from evaltape.mutation.suggestion import Proposal, Suggestion, Unsuggested, propose, suggestion
from evaltape.suite.definition import Model


def suggest(evaluation: Evaluation, model: Model) -> Suggestion | str:
    """Return the gates that a model's recordings speak for, or why they speak for none.

    Raises `UserError` for an operator of the user's that can't be loaded, or that fails.
    """
    workspace, scores = evaluation.workspaces[model.suite], evaluation.scores(model)
    unfinished = evaluation.unfinished(model)
    if unfinished is not None:
        return unfinished
    if len(scores.failures) > model.allow_failed:
        way = "" if model.predictions else f". To record what is missing: {workspace.to_record(model.kind)}"
        return f"{scores.failed_in_short}{way}"
    noise = model_noise(workspace, scores)
    proposals: list[Proposal | Unsuggested] = [propose(scores, name, noise.get(name)) for name in workspace.metrics]
    assertions = [each.assertion for each in proposals if isinstance(each, Proposal)]
    return suggestion(proposals, evaluation.mutated(scores, assertions).study)
