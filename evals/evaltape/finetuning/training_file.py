"""The training file: the train split, or recorded answers, as chat JSONL, checked before a cent is spent.

The user prompt is exactly that of the evaluation, the reference is the assistant's turn. The bytes depend on nothing but rows,
prompt and selection, so their SHA-256 identifies the file.
"""

import hashlib
import json
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from evaltape.errors import UserError
from evaltape.finetuning.services import service_of
from evaltape.names import shown
from evaltape.recording.folder import Recordings
from evaltape.samples.dataset import Loaded, load_training_rows
from evaltape.samples.frozen import owner_of, read_frozen
from evaltape.samples.sample import Answer, Sample
from evaltape.samples.sources import selected
from evaltape.suite.commands import Advice, Commands
from evaltape.suite.definition import Finetune, Model, Suite
from evaltape.suite.reader import load_suite
from evaltape.text import counted, listed

BYTES_PER_TOKEN = 4
NGRAM = 5
NEAR = 0.5
"""The least share of the shorter text's word 5-grams that makes two texts near each other."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """A training row and the row it overlaps with."""

    row: str
    other: str
    share: float
    """The share of the shorter text's 5-grams that the other has, too; 1.0 only if the texts are the same."""

    @property
    def exact(self) -> bool:
        """Whether the two texts are the same."""
        return self.share == 1.0

    def __str__(self) -> str:
        return f"{self.row} {'is' if self.exact else f'shares {self.share:.0%} with'} {self.other}"


def duplicates(training: Mapping[str, str]) -> list[Overlap]:
    """Return the training rows that repeat an earlier row. `training` maps ids to texts."""
    first: dict[tuple[str, ...], str] = {}
    earliest = {row: first.setdefault(_words(text), row) for row, text in training.items()}
    return [Overlap(row, other, 1.0) for row, other in earliest.items() if other != row]


def leaks(training: Mapping[str, str], evaluated: Mapping[str, str]) -> list[Overlap]:
    """Return the training rows that leak, each with the equal or nearest evaluated row. Both arguments map ids to texts."""
    words = {row: _words(text) for row, text in evaluated.items()}
    same = {text: row for row, text in reversed(words.items())}
    grams = {row: set(_grams(text)) for row, text in words.items()}
    index: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for row, its_grams in grams.items():
        for gram in its_grams:
            index[gram].append(row)
    leaking = []
    for row, text in training.items():
        own = _words(text)
        if own in same:
            leaking.append(Overlap(row, same[own], 1.0))
            continue
        its_grams = set(_grams(own))
        shared = Counter(other for gram in its_grams for other in index.get(gram, ()))
        shares = [(count / min(len(its_grams), len(grams[other])), other) for other, count in shared.items()]
        share, nearest = max(shares, default=(0.0, ""))
        if share >= NEAR:
            leaking.append(Overlap(row, nearest, min(share, 0.999)))
    return leaking


def _words(text: str) -> tuple[str, ...]:
    normal = unicodedata.normalize("NFKC", text).casefold()
    # Two texts of nothing but emoji have no words, and are not the same for that.
    return tuple(re.findall(r"\w+", normal)) or (normal.strip(),)


def _grams(words: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
    return zip(*(words[start:] for start in range(NGRAM)), strict=False)


class TrainingFile(msgspec.Struct, frozen=True):
    """A file to upload, and remarks on its rows."""

    text: str
    rows: int
    """How many examples it has."""
    remarks: Sequence[str] = ()
    """Findings about its rows and their data, a line each."""

    @property
    def content(self) -> bytes:
        """The file, UTF-8."""
        return self.text.encode()

    @property
    def sha256(self) -> str:
        """The digest that identifies the file."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def name(self) -> str:
        """The name it is uploaded under, by which an equal file is recognised."""
        return f"evaltape-{self.sha256[:32]}.jsonl"

    def notes(self) -> Iterator[str]:
        """Return notes on the file for the user, a line each."""
        yield f"{counted(self.rows, 'training row')}, {len(self.content):,} bytes, sha256 {self.sha256[:12]}"
        yield from self.remarks


def build_training_file(suite: Suite, job: Finetune, samples: list[Sample], cassettes: Path = Path()) -> TrainingFile:
    """Load the rows to train on and build their file. Raise `UserError`, naming the row, for a row that must not be trained on.

    `cassettes` is the folder of all suites' recordings, for a job that trains on recorded answers.
    """
    if job.train.recorded is None:
        rows, remarks = load_training_rows(suite, job.base, job.train)
    else:
        rows, remarks = recorded_rows(suite, job, job.train.recorded, cassettes)
    validation = load_training_rows(suite, job.base, job.validation)[0] if job.validation else []
    # The texts that must not be trained on, by the name that messages give their rows.
    evaluated = {f"sample {sample.id}": sample.input for sample in samples}
    evaluated |= {f"validation row {row.id}": row.input for row in validation}
    leaking = leaks({row.id: row.input for row in rows}, evaluated)
    exact = {overlap.row: overlap for overlap in leaking if overlap.exact}
    if exact and job.train.leaks == "error":
        more = f" (and {counted(len(exact) - 1, 'further row')} likewise)" if len(exact) > 1 else ""
        raise UserError(
            f"{_place(suite, job)} training row {next(iter(exact.values()))}{more}: a model would be tested on what it was "
            'trained on. Take such rows out of the split, or set train.leaks = "drop" to leave them out of training'
        )
    kept = [row for row in rows if row.id not in exact]
    near = [overlap for overlap in leaking if not overlap.exact]
    findings = {
        "left out, because they are evaluated, too": list(exact.values()),
        f"kept, though near an evaluated one ({NEAR:.0%} or more of the shorter's word {NGRAM}-grams)": near,
        "kept, though repeating an earlier one": duplicates({row.id: row.input for row in kept}),
    }
    told = {what: overlaps for what, overlaps in findings.items() if overlaps}
    found = [f"{counted(len(overlaps), 'training row')} {what}: {listed(overlaps)}" for what, overlaps in told.items()]
    if len(kept) < (fewest := service_of(job.service).fewest_rows):
        left = f", with {len(exact)} left out that are evaluated, too" if exact else ""
        raise UserError(f"{_place(suite, job)} {counted(len(kept), 'training row')}{left}; the API asks for {fewest} or more")
    return _file(suite, job, "training", kept, [*found, *remarks])


def build_validation_file(suite: Suite, job: Finetune) -> TrainingFile | None:
    """Build the file of the job's validation split, if any. Raises as `build_training_file`."""
    if job.validation is None:
        return None
    return _file(suite, job, "validation", *load_training_rows(suite, job.base, job.validation))


def _place(suite: Suite, job: Finetune) -> str:
    return f"{shown(suite.file)}: [finetune.{job.key}]"


def _file(suite: Suite, job: Finetune, kind: str, rows: list[Sample], remarks: list[str]) -> TrainingFile:
    """Return the file of these rows, once it is checked as the API will check it."""
    place, service, lines = _place(suite, job), service_of(job.service), []
    for row in rows:
        turns = [*job.base.prompt.render(row), {"role": "assistant", "content": row.references[0]}]
        line = json.dumps({"messages": turns}, ensure_ascii=False)
        size = len(line.encode())
        if not all(turn["content"].strip() for turn in turns):
            raise UserError(f"{place} {kind} row {row.id}: a turn is empty")
        if size > service.longest_tokens * BYTES_PER_TOKEN:
            long = f"about {size // BYTES_PER_TOKEN:,} tokens ({size:,} bytes)"
            raise UserError(f"{place} {kind} row {row.id}: {long}; the API takes {service.longest_tokens:,} tokens")
        lines.append(f"{line}\n")
    file = TrainingFile("".join(lines), len(rows), remarks)
    if len(file.content) > service.largest_bytes:
        raise UserError(f"{place} the {kind} file has {len(file.content):,} bytes; the API takes {service.largest_bytes:,}")
    return file


def recorded_rows(suite: Suite, job: Finetune, recorded: str, cassettes: Path) -> Loaded:
    """Return the frozen samples of a teacher's suite with its answers as their references, and remarks on them.

    Answers that were cut at the length limit are left out. Raises `UserError` for answers that are missing or failed, and
    for samples without a column that the job's prompt names.
    """
    place = f'{shown(suite.file)}: [finetune.{job.key}.train] recorded = "{recorded}"'
    taught_in, teacher = recorded.split("/")
    folder = cassettes / taught_in
    file = owner_of(folder)
    if file is None:
        raise UserError(f"{place}: {shown(folder)} holds no recording of a suite of this project; record that suite first")
    of = load_suite(file)
    if teacher not in of.models:
        raise UserError(f"{place}: {shown(file)} has no such model. It has: {', '.join(of.models)}")
    frozen = read_frozen(folder).samples
    samples = [frozen[number] for number in selected(job.train, len(frozen))]
    _check_columns(place, of, samples, job.base)
    answers = _answers(of, folder, teacher, samples)
    whole = [pair for pair in answers if not pair[1].truncated]
    good = [(sample, answer) for sample, answer in whole if answer.failure is None]
    rows = [Sample(sample.id, sample.input, (answer.text,), sample.columns) for sample, answer in good]
    failed = [(sample, answer) for sample, answer in whole if answer.failure is not None]
    if failed:
        more = f" (and {counted(len(failed) - 1, 'further answer')} likewise)" if len(failed) > 1 else ""
        raise UserError(f"{place}: no answer to sample {failed[0][0].id}{more}: {failed[0][1].failure}")
    cut = [sample.id for sample, answer in answers if answer.truncated]
    remarks = [f"{counted(len(rows), 'answer')} of {teacher} to train on, recorded by suite {taught_in}"]
    if cut:
        remarks.append(f"{counted(len(cut), 'answer')} left out, cut at the length limit: {listed(cut)}")
    return rows, remarks


def _answers(suite: Suite, folder: Path, key: str, samples: list[Sample]) -> list[tuple[Sample, Answer]]:
    from evaltape.finetuning.jobs import Jobs  # Which builds training files.

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
