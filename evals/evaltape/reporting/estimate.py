"""The calls of a recording and their highest cost, before anything is called."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping

import msgspec

from evaltape.against.other_side import OtherSide
from evaltape.errors import UserError
from evaltape.judging.exam import Examined, labels_advice
from evaltape.judging.verdict import as_model, judge_request
from evaltape.recording.verdicts import Asked
from evaltape.reporting.decidable import decidable_lines
from evaltape.reporting.tables import aligned
from evaltape.samples.sample import Sample
from evaltape.settings import RECORD_MISSING
from evaltape.suite import prompt
from evaltape.suite.cost import (
    DEFAULT_ANSWER_TOKENS,
    answer_limit,
    bytes_of,
    call_usd,
    counter_of,
    most_epochs,
    most_tokens,
    training_tokens,
    training_usd,
)
from evaltape.suite.definition import Finetune, Judge, Model
from evaltape.text import counted, cut, usd
from evaltape.workspace import Workspace

TITLES = ("calls", "prompt tokens", "answer tokens", "at most")
SIDES, LEAST_WIDTHS, LONGEST_NAME = "<>>>>", (24, 5, 13, 13, 11), 23


class ModelEstimate(msgspec.Struct, frozen=True):
    """The calls to a model, or to a judge as a model, with the most tokens they can take."""

    model: Model
    calls: int
    prompt_tokens: int
    answer_tokens: int
    is_counted: bool
    """Whether prompt tokens are counted by tiktoken, and not by bytes."""
    is_limited: bool
    """Whether requests limit the answer."""

    @property
    def usd(self) -> float | None:
        """The most the calls can cost; None where the suite states no price."""
        return call_usd(self.model.price, self.prompt_tokens, self.answer_tokens) if self.model.price else None


class JobEstimate(msgspec.Struct, frozen=True):
    """A fine-tuning job, with the most tokens it trains on, or the reason why that is unknown."""

    job: Finetune
    rows: int = 0
    tokens_per_epoch: int = 0
    problem: str | None = None

    @property
    def epochs(self) -> int:
        """How often the rows are trained on: the suite's number, or the most that a service chooses."""
        return most_epochs(self.job.hyperparameters.get("n_epochs"), self.rows)

    @property
    def usd(self) -> float | None:
        """The most it can cost; None where the suite states no price for training, or the data is not at hand."""
        return None if self.problem else training_usd(self.job.price, self.tokens_per_epoch * self.epochs)


def estimate(
    workspace: Workspace,
    selected: Iterable[tuple[Model, Sample]],
    looked_at: Collection[str],
    other_side: OtherSide | None = None,
) -> Iterator[str]:
    """Yield lines on the calls and cost of recording the selected samples, and on the differences that comparisons can decide.

    `looked_at` are the models of all selected sample tests, also models with answers from a file; with `--mutate` the models
    with damaged answers.
    """
    if workspace.settings.mutate:
        yield from _mutants(workspace, looked_at)
        return
    asked: dict[str, list[Sample]] = {}
    for model, sample in selected:
        asked.setdefault(model.key, []).append(sample)
    models = [_of_model(workspace, workspace.suite.models[key], samples) for key, samples in asked.items()]
    models += judge_estimates(workspace, asked, looked_at) if looked_at else ()
    models = [one for one in models if one.calls]
    jobs = [_of_job(workspace, job) for key in asked if (job := workspace.suite.models[key].job) and _is_due(workspace, job)]
    option = "--record-missing" if workspace.settings.mode == RECORD_MISSING else "--record"
    option += " --batch" if workspace.settings.batch else ""
    nothing = "nothing is missing" if looked_at else "no sample test is selected"
    yield from _bill(workspace, option, models, jobs) if models or jobs else [f"{option} would call nothing: {nothing}."]
    yield from decidable_lines(workspace, looked_at, other_side)
    yield from label_lines(workspace) if looked_at else ()


def _mutants(workspace: Workspace, looked_at: Collection[str]) -> Iterator[str]:
    """Yield the questions of `--mutate --record` to judges about some models' answers."""
    judges, option = [one for one in mutant_estimates(workspace, looked_at) if one.calls], "--mutate --record"
    nothing = f"{option} would call nothing: no verdict on a mutant is missing."
    yield from _bill(workspace, option, judges, []) if judges else [nothing]


def _of_model(workspace: Workspace, model: Model, samples: list[Sample]) -> ModelEstimate:
    served = model.job.base.served if model.job else model.served
    count = counter_of(served)
    calls = workspace.calls_of(model, samples)
    bodies = (prompt.chat_request(served, model.prompt.render(sample), model.request) for sample, _ in calls)
    tokens = [most_tokens(body, count or bytes_of) for body in bodies]
    prompts, answers = sum(most for most, _ in tokens), sum(most for _, most in tokens)
    is_limited = answer_limit(model.request) is not None
    return ModelEstimate(workspace.priced(model), len(calls), prompts, answers, count is not None, is_limited)


def _is_due(workspace: Workspace, job: Finetune) -> bool:
    return workspace.settings.mode != RECORD_MISSING or not workspace.jobs.is_recorded(job.key)


def _of_job(workspace: Workspace, job: Finetune) -> JobEstimate:
    try:
        training = workspace.jobs.prepare(job.key).training
    except (UserError, ImportError) as error:
        return JobEstimate(job, problem=str(error))
    tokens = training_tokens(training.text, counter_of(job.base.served) or bytes_of)
    return JobEstimate(job, training.rows, tokens)


def _bill(workspace: Workspace, option: str, models: list[ModelEstimate], jobs: list[JobEstimate]) -> Iterator[str]:
    yield from aligned([(option, *TITLES), *map(_cells, models)], SIDES, LEAST_WIDTHS, LONGEST_NAME)
    yield from map(_job_line, jobs)
    yield from _total(models, jobs)
    yield from _basis(workspace, models, jobs)


def _cells(one: ModelEstimate) -> tuple[str, ...]:
    tokens = f"{one.prompt_tokens:,}", f"{one.answer_tokens:,}"
    return one.model.key, f"{one.calls:,}", *tokens, "no price" if one.usd is None else usd(one.usd)


def _job_line(one: JobEstimate) -> str:
    if one.problem:
        return f"  job {one.job.key}: not estimated: {cut(one.problem, 400)}"
    tokens = f"{one.tokens_per_epoch * one.epochs:,} tokens"
    cost = "no price for training" if one.usd is None else usd(one.usd)
    return f"  job {one.job.key}: {counted(one.rows, 'row')} x {_epochs(one)}, {tokens}, {cost}"


def _total(models: list[ModelEstimate], jobs: list[JobEstimate]) -> Iterator[str]:
    costs = [one.usd for one in models] + [one.usd for one in jobs]
    known = [cost for cost in costs if cost is not None]
    unpriced = [one.model.key for one in models if one.usd is None]
    unpriced += [f"the job {one.job.key}" for one in jobs if one.usd is None]
    if known:
        yield f"At most {usd(sum(known))}{f', without {_listed(unpriced)}' if unpriced else ''}."
    if any(one.usd is None for one in models):
        yield "No price: set price = { input = ..., output = ... } under the model, in USD per million tokens."


def _basis(workspace: Workspace, models: list[ModelEstimate], jobs: list[JobEstimate]) -> Iterator[str]:
    bounded = [one.model.key for one in models if not one.is_counted]
    unlimited = [one.model.key for one in models if not one.is_limited]
    if len(bounded) < len(models):
        yield f"Prompt tokens are counted by tiktoken{f', but for {_listed(bounded)}' if bounded else ''}."
    if bounded:
        yield f"Prompt tokens of {_listed(bounded)} are an upper bound: as many as their texts have bytes."
    if len(unlimited) < len(models):
        yield "Answer tokens are the most that a request allows."
    if unlimited:
        names = _listed(unlimited)
        yield f"{DEFAULT_ANSWER_TOKENS:,} answer tokens are assumed for {names}: no max_completion_tokens is set."
    if jobs and not workspace.settings.retrain:
        yield "A job costs nothing where the API has one of the same data, base and settings."
    if any("assumed" in _epochs(one) for one in jobs):
        yield "Where n_epochs is not set, the most that an API chooses is assumed."


def _epochs(one: JobEstimate) -> str:
    is_set = isinstance(one.job.hyperparameters.get("n_epochs"), int)
    return counted(one.epochs, "epoch") + ("" if is_set else " (assumed)")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]


# ---------------------------------------------------------------- judges


def judge_estimates(
    workspace: Workspace, asked: Mapping[str, list[Sample]], looked_at: Collection[str]
) -> Iterator[ModelEstimate]:
    """Yield the calls to each judge: verdicts on answers, there or still to come, and the missing verdicts of its exam."""
    for judge in workspace.judges:
        yield _estimate(judge, _calls(workspace, judge, asked, looked_at))


def mutant_estimates(workspace: Workspace, looked_at: Iterable[str]) -> Iterator[ModelEstimate]:
    """Yield the calls to each judge for verdicts on the mutants of some models' answers."""
    for judge in workspace.judges:
        models = [workspace.suite.models[key] for key in looked_at]
        yield _estimate(judge, ((it, 0) for model in models for it in workspace.unjudged_mutants(judge, model)))


def _estimate(judge: Judge, calls: Iterable[tuple[Asked, int]]) -> ModelEstimate:
    count = counter_of(judge.served)
    tokens = [
        (most[0] + more, most[1])
        for it, more in calls
        for most in [most_tokens(judge_request(judge, it.sample, it.answer), count or bytes_of)]
    ]
    prompts, answers = sum(most for most, _ in tokens), sum(most for _, most in tokens)
    is_limited = answer_limit(judge.request) is not None
    return ModelEstimate(as_model(judge), len(tokens), prompts, answers, count is not None, is_limited)


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
