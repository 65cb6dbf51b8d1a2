"""The calls of a recording and their highest cost, before anything is called."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, product
from typing import Any

import msgspec

from evaltape.against.other_side import OtherSide
from evaltape.errors import UserError
from evaltape.judging.exam import labels_advice
from evaltape.judging.verdict import as_model, judge_request
from evaltape.recording.verdicts import Asked
from evaltape.reporting.decidable import decidable_lines
from evaltape.reporting.tables import aligned
from evaltape.samples.sample import Answer, Sample
from evaltape.settings import RECORD_MISSING
from evaltape.suite import cost
from evaltape.suite.cost import DEFAULT_ANSWER_TOKENS, answer_limit, bytes_of, counter_of
from evaltape.suite.definition import Finetune, Judge, Model
from evaltape.suite.prompt import chat_request
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

    @property
    def usd(self) -> float | None:
        """The most the calls can cost; None where the suite states no price."""
        return cost.call_usd(self.model.price, self.prompt_tokens, self.answer_tokens) if self.model.price else None


class JobEstimate(msgspec.Struct, frozen=True):
    """A fine-tuning job, with the most tokens it trains on, or the reason why that is unknown."""

    job: Finetune
    rows: int = 0
    tokens_per_epoch: int = 0
    problem: str | None = None

    @property
    def epochs(self) -> int:
        """How often the rows are trained on: the suite's number, or the most that a service chooses."""
        return cost.most_epochs(self.job.hyperparameters.get("n_epochs"), self.rows)

    @property
    def usd(self) -> float | None:
        """The most it can cost; None where the suite states no price for training, or the data is not at hand."""
        return None if self.problem else cost.training_usd(self.job.price, self.tokens_per_epoch * self.epochs)


def estimate(workspace: Workspace, asked: Mapping[str, Sequence[Sample]], other_side: OtherSide | None = None) -> Iterator[str]:
    """Yield lines on the calls and cost of recording the selected samples, and on the differences that comparisons can decide.

    `asked` has the samples of all selected sample tests by model, also by a model with answers from a file; with `--mutate` the
    models with damaged answers.
    """
    settings, models, jobs = workspace.settings, workspace.suite.models, []
    if settings.mutate:
        damaged = [models[key] for key in asked]
        of_judges = [
            _judged(judge, ((it, 0) for model in damaged for it in workspace.unjudged_mutants(judge, model)))
            for judge in workspace.judges
        ]
        yield from _bill(workspace, "--mutate --record", of_judges, [], "no verdict on a mutant is missing")
        return
    calls = [_of_model(workspace, models[key], samples) for key, samples in asked.items() if models[key].predictions is None]
    calls += [_of_judge(workspace, judge, asked) for judge in workspace.judges if asked]
    for job in (job for key in asked if (job := models[key].job)):
        if settings.mode != RECORD_MISSING or not workspace.jobs.is_recorded(job.key):
            jobs.append(_of_job(workspace, job))
    option = "--record-missing" if settings.mode == RECORD_MISSING else "--record"
    option += " --batch" if settings.batch else ""
    yield from _bill(workspace, option, calls, jobs, "nothing is missing" if asked else "no sample test is selected")
    yield from decidable_lines(workspace, asked, other_side)
    yield from label_lines(workspace) if asked else ()


def _of_model(workspace: Workspace, model: Model, samples: Sequence[Sample]) -> ModelEstimate:
    served = model.job.base.served if model.job else model.served
    calls = workspace.calls_of(model, samples)
    bodies = ((chat_request(served, model.prompt.render(sample), model.request), 0) for sample, _ in calls)
    return _estimate(workspace.priced(model), served, bodies)


def _estimate(model: Model, served: str, bodies: Iterable[tuple[Mapping[str, Any], int]]) -> ModelEstimate:
    """Return the estimate of calls: each is a request, and the tokens of an answer in it that isn't there yet."""
    count = counter_of(served)
    tokens = [(*cost.most_tokens(body, count or bytes_of), more) for body, more in bodies]
    prompts, answers = sum(asked + more for asked, _, more in tokens), sum(answer for _, answer, _ in tokens)
    return ModelEstimate(model, len(tokens), prompts, answers, count is not None)


def _of_job(workspace: Workspace, job: Finetune) -> JobEstimate:
    try:
        training = workspace.jobs.prepare(job.key).training
    except (UserError, ImportError) as error:
        return JobEstimate(job, problem=str(error))
    tokens = cost.training_tokens(training.text, counter_of(job.base.served) or bytes_of)
    return JobEstimate(job, training.rows, tokens)


def _bill(
    workspace: Workspace, option: str, calls: Iterable[ModelEstimate], jobs: list[JobEstimate], nothing: str
) -> Iterator[str]:
    models = [one for one in calls if one.calls]
    if not models and not jobs:
        yield f"{option} would call nothing: {nothing}."
        return
    cells = [
        (one.model.key, *(f"{number:,}" for number in (one.calls, one.prompt_tokens, one.answer_tokens)), _usd(one, "no price"))
        for one in models
    ]
    yield from aligned([(option, *TITLES), *cells], SIDES, LEAST_WIDTHS, LONGEST_NAME)
    for job in jobs:
        tokens = f"{job.tokens_per_epoch * job.epochs:,} tokens"
        told = f"{counted(job.rows, 'row')} x {_epochs(job)}, {tokens}, {_usd(job, 'no price for training')}"
        yield f"  job {job.job.key}: {f'not estimated: {cut(job.problem, 400)}' if job.problem else told}"
    yield from _total(models, jobs)
    yield from _grounds(models)
    if jobs and not workspace.settings.retrain:
        yield "A job costs nothing where the API has one of the same data, base and settings."
    if any("assumed" in _epochs(one) for one in jobs):
        yield "Where n_epochs is not set, the most that an API chooses is assumed."


def _total(models: list[ModelEstimate], jobs: list[JobEstimate]) -> Iterator[str]:
    known = [cost for cost in [*(one.usd for one in models), *(one.usd for one in jobs)] if cost is not None]
    unpriced = [one.model.key for one in models if one.usd is None]
    unpriced += [f"the job {one.job.key}" for one in jobs if one.usd is None]
    if known:
        yield f"At most {usd(sum(known))}{f', without {_listed(unpriced)}' if unpriced else ''}."
    if any(one.usd is None for one in models):
        yield "No price: set price = { input = ..., output = ... } under the model, in USD per million tokens."


def _usd(one: ModelEstimate | JobEstimate, none: str) -> str:
    return none if one.usd is None else usd(one.usd)


def _grounds(models: list[ModelEstimate]) -> Iterator[str]:
    bounded = [one.model.key for one in models if not one.is_counted]
    unlimited = [one.model.key for one in models if answer_limit(one.model.request) is None]
    if len(bounded) < len(models):
        yield f"Prompt tokens are counted by tiktoken{f', but for {_listed(bounded)}' if bounded else ''}."
    if bounded:
        yield f"Prompt tokens of {_listed(bounded)} are an upper bound: as many as their texts have bytes."
    if len(unlimited) < len(models):
        yield "Answer tokens are the most that a request allows."
    if unlimited:
        names = _listed(unlimited)
        yield f"{DEFAULT_ANSWER_TOKENS:,} answer tokens are assumed for {names}: no max_completion_tokens is set."


def _epochs(one: JobEstimate) -> str:
    is_set = isinstance(one.job.hyperparameters.get("n_epochs"), int)
    return counted(one.epochs, "epoch") + ("" if is_set else " (assumed)")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]


def _of_judge(workspace: Workspace, judge: Judge, asked: Mapping[str, Sequence[Sample]]) -> ModelEstimate:
    """Estimate a judge's verdicts on answers, there or still to come, and the missing verdicts of its exam."""
    of_exam = ((it, 0) for it in workspace.exams[judge.key].missing)
    return _judged(judge, chain(_on_answers(workspace, judge, asked), of_exam))


def _judged(judge: Judge, calls: Iterable[tuple[Asked, int]]) -> ModelEstimate:
    bodies = ((judge_request(judge, it.sample, it.answer), more) for it, more in calls)
    return _estimate(as_model(judge), judge.served, bodies)


def _on_answers(workspace: Workspace, judge: Judge, asked: Mapping[str, Sequence[Sample]]) -> Iterator[tuple[Asked, int]]:
    """Yield each call, with the tokens of an answer that isn't there yet."""
    settings = workspace.settings
    for model, samples in ((workspace.suite.models[key], samples) for key, samples in asked.items()):
        repeats, due = settings.repeat, set[tuple[str, int]]()
        if model.predictions is None:
            due = {(sample.id, repeat) for sample, repeat in workspace.calls_of(model, samples)}
        else:
            samples, repeats = workspace.selected_samples, 1
        limit = answer_limit(model.request)
        for sample, repeat in product(samples, range(1, repeats + 1)):
            is_due = (sample.id, repeat) in due
            answer = Answer() if is_due else workspace.recordings.answer(model, sample, repeat)
            more = 0 if not is_due else DEFAULT_ANSWER_TOKENS if limit is None else limit
            for again in range(1, settings.repeat + 1 if repeat == 1 else 2) if answer.failure is None else ():
                one = Asked(judge, sample, answer.text, model.key, repeat, again)
                if is_due or settings.mode != RECORD_MISSING or not workspace.verdicts.is_recorded(one):
                    yield one, more


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
        found, least = exam.examined.agreement, judge.exam.min_kappa
        kappa = found and found.kappa
        if found and kappa and kappa.low is not None and kappa.low < least < kappa.mean:
            needed = math.ceil(found.labels * ((kappa.mean - kappa.low) / (kappa.mean - least)) ** 2)
            there += f"; kappa is {kappa.mean:.2f}, and about {needed} labels would prove that it is over {least:g}"
        yield there
