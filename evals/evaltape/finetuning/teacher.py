"""Recorded answers to train on: a teacher's, recorded on the rows to train on as any suite is."""

from pathlib import Path

from evaltape.errors import UserError
from evaltape.finetuning.jobs import Jobs
from evaltape.names import shown
from evaltape.recording.folder import Recordings
from evaltape.samples.answer import Answer
from evaltape.samples.dataset import Loaded
from evaltape.samples.frozen import read_frozen
from evaltape.samples.owner import owner_of
from evaltape.samples.sample import Sample
from evaltape.suite.advice import Advice
from evaltape.suite.commands import Commands
from evaltape.suite.definition import Finetune, Model, RecordedAnswers, Suite
from evaltape.suite.reader import load_suite
from evaltape.text import counted, listed


def recorded_rows(suite: Suite, job: Finetune, teacher: RecordedAnswers, cassettes: Path) -> Loaded:
    """Return the frozen samples of a teacher's suite with its answers as their references, and remarks on them.

    Answers that were cut at the length limit are left out. Raises `UserError` for answers that are missing or failed, and
    for samples without a column that the job's prompt names.
    """
    place = f'{shown(suite.file)}: [finetune.{job.key}.train] recorded = "{teacher.suite}/{teacher.model}"'
    folder = cassettes / teacher.suite
    file = owner_of(folder)
    if file is None:
        raise UserError(f"{place}: {shown(folder)} holds no recording whose suite is at hand; record that suite first")
    of = load_suite(file)
    if teacher.model not in of.models:
        raise UserError(f"{place}: {shown(file)} has no such model. It has: {', '.join(of.models)}")
    samples = _selected(read_frozen(folder).samples, job)
    _check_columns(place, of, samples, job.base)
    answers = _answers(of, folder, teacher.model, samples)
    whole = [pair for pair in answers if not pair[1].truncated]
    rows = [
        Sample(sample.id, sample.input, (answer.text,), sample.columns) for sample, answer in whole if answer.failure is None
    ]
    failed = [(sample, answer) for sample, answer in whole if answer.failure is not None]
    if failed:
        more = f" (and {counted(len(failed) - 1, 'further answer')} likewise)" if len(failed) > 1 else ""
        raise UserError(f"{place}: no answer to sample {failed[0][0].id}{more}: {failed[0][1].failure}")
    cut = [sample.id for sample, answer in answers if answer.truncated]
    remarks = [f"{counted(len(rows), 'answer')} of {teacher.model} to train on, recorded by suite {teacher.suite}"]
    if cut:
        remarks.append(f"{counted(len(cut), 'answer')} left out, cut at the length limit: {listed(cut)}")
    return rows, remarks


def _answers(suite: Suite, folder: Path, key: str, samples: list[Sample]) -> list[tuple[Sample, Answer]]:
    commands = Commands(["evals"], suite.file)
    jobs = Jobs(suite, folder, lambda: samples, commands)
    recordings = Recordings(folder, suite, jobs.served, lambda model: Advice(commands.record_missing(model.kind)))
    return [(sample, recordings.answer(suite.models[key], sample)) for sample in samples]


def _check_columns(place: str, of: Suite, samples: list[Sample], base: Model) -> None:
    for column in sorted(base.prompt.columns - {"input"}):
        without = next((sample for sample in samples if column not in sample.columns), None)
        if without is not None:
            raise UserError(
                f"{place}: the job's prompt names the column {column!r}, which sample {without.id} was frozen without. Name it "
                f"in keep under [dataset] of {shown(of.file)}, and record that suite again: its calls stay recorded"
            )


def _selected(samples: list[Sample], job: Finetune) -> list[Sample]:
    count = min(job.train.samples or len(samples), len(samples))
    if job.train.seed is None:
        return samples[:count]
    from evaltape.samples.hub import shuffled

    return [samples[number] for number in shuffled(len(samples), job.train.seed, count)]
