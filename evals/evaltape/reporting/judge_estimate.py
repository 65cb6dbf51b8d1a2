"""The most questions that a recording asks judges, and how many labels their bounds take."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping

from evaltape.judging.exam import Examined, labels_advice
from evaltape.judging.verdict import as_model, judge_request
from evaltape.recording.verdicts import Asked
from evaltape.samples.sample import Sample
from evaltape.settings import RECORD_MISSING
from evaltape.suite.cost import DEFAULT_ANSWER_TOKENS, answer_limit, bytes_of, counter_of, most_tokens
from evaltape.suite.definition import Judge, Model
from evaltape.text import counted
from evaltape.workspace import Workspace, unjudged_mutants

Estimate = tuple[Model, int, int, int, bool, bool]
"""A judge as a model, its calls, the most prompt and answer tokens, and whether these are counted and limited."""


def judge_estimates(workspace: Workspace, asked: Mapping[str, list[Sample]], looked_at: Collection[str]) -> Iterator[Estimate]:
    """Yield the calls to each judge: verdicts on answers, there or still to come, and the missing verdicts of its exam."""
    for judge in workspace.judges:
        yield _estimate(judge, _calls(workspace, judge, asked, looked_at))


def mutant_estimates(workspace: Workspace, looked_at: Iterable[str]) -> Iterator[Estimate]:
    """Yield the calls to each judge for verdicts on the mutants of some models' answers."""
    for judge in workspace.judges:
        models = [workspace.suite.models[key] for key in looked_at]
        yield _estimate(judge, ((it, 0) for model in models for it in unjudged_mutants(workspace, judge, model)))


def _estimate(judge: Judge, calls: Iterable[tuple[Asked, int]]) -> Estimate:
    count = counter_of(judge.served)
    tokens = [
        (most[0] + more, most[1])
        for it, more in calls
        for most in [most_tokens(judge_request(judge, it.sample, it.answer), count or bytes_of)]
    ]
    prompts, answers = sum(most for most, _ in tokens), sum(most for _, most in tokens)
    return as_model(judge), len(tokens), prompts, answers, count is not None, answer_limit(judge.request) is not None


def _calls(
    workspace: Workspace, judge: Judge, asked: Mapping[str, list[Sample]], looked_at: Collection[str]
) -> Iterator[tuple[Asked, int]]:
    """Yield each call, with the tokens of an answer that isn't there yet."""
    for key in looked_at:
        model = workspace.suite.models[key]
        samples = workspace.selected_samples if model.predictions else asked.get(key, [])
        due = set() if model.predictions else {(it.id, repeat) for it, repeat in workspace.calls_of(model, samples)}
        for sample in samples:
            for repeat in range(1, 2 if model.predictions else workspace.settings.repeat + 1):
                yield from _of_answer(workspace, judge, model, sample, repeat, is_due=(sample.id, repeat) in due)
    exam = workspace.exams[judge.key]
    yield from ((exam.asked(question), 0) for question in exam.missing)


def _of_answer(
    workspace: Workspace, judge: Judge, model: Model, sample: Sample, repeat: int, *, is_due: bool
) -> Iterator[tuple[Asked, int]]:
    times = workspace.settings.repeat if repeat == 1 else 1
    if is_due:
        limit = answer_limit(model.request)
        more = DEFAULT_ANSWER_TOKENS if limit is None else limit
        yield from ((Asked(judge, sample, "", model.key, repeat, again), more) for again in range(1, times + 1))
        return
    answer = workspace.recordings.answer(model, sample, repeat)
    if answer.failure is not None:
        return
    for again in range(1, times + 1):
        one = Asked(judge, sample, answer.text, model.key, repeat, again)
        if workspace.settings.mode != RECORD_MISSING or not workspace.verdicts.is_recorded(one):
            yield one, 0


def label_lines(workspace: Workspace) -> Iterator[str]:
    """Yield how many labels each judge has, and how many a bound on it takes."""
    for judge in workspace.judges:
        if judge.exam is None or judge.exam.labels is None:
            continue
        exam = workspace.exams[judge.key]
        labels = [label for label in exam.labels if label.examines]
        there = f"{judge.key}: {counted(len(labels), 'label')}"
        if judge.verdict.scale is None:
            there += f", {sum(label.score == 1 for label in labels)} of them true; {labels_advice()}"
        yield f"{there}{_kappa_needs(exam.examined)}"


def _kappa_needs(examined: Examined) -> str:
    """Return how many labels would prove that kappa reaches its bound, if they show it; empty if no number would."""
    found, exam = examined.agreement, examined.judge.exam
    if found is None or exam is None or found.kappa.value is None or found.kappa.low is None:
        return ""
    above = found.kappa.value - exam.min_kappa
    if above <= 0 or found.kappa.low >= exam.min_kappa:
        return ""
    needed = math.ceil(found.labels * ((found.kappa.value - found.kappa.low) / above) ** 2)
    return f"; kappa is {found.kappa.value:.2f}, and about {needed} labels would prove that it is over {exam.min_kappa:g}"
