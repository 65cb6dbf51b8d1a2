"""The training file: the train split as chat JSONL, checked before a cent is spent.

The user prompt is exactly that of the evaluation, the reference is the assistant's turn. The bytes depend on nothing but
rows, prompt and selection, so that their SHA-256 identifies the file.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from evals.harness import prompt
from evals.harness.dataset import load_rows
from evals.harness.errors import UserError
from evals.harness.leaks import NEAR, Overlap, duplicates, leaks
from evals.harness.names import shown
from evals.harness.samples import Sample, as_sample
from evals.harness.suite import Finetune, Split, Suite

FEWEST_EXAMPLES = 10
LONGEST_TOKENS = 65_536
LARGEST_BYTES = 512 * 2**20
BYTES_PER_TOKEN = 4


@dataclass(frozen=True)
class TrainingFile:
    """The bytes to upload and what was found out about them."""

    text: str
    rows: int
    dropped: tuple[Overlap, ...] = ()
    near: tuple[Overlap, ...] = ()
    repeated: tuple[Overlap, ...] = ()

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
        """The name it is uploaded under, by which an identical file is found again."""
        return f"evaltape-{self.sha256[:32]}.jsonl"

    def notes(self) -> Iterator[str]:
        """What a person should know of the file, a line each."""
        yield f"{self.rows} training rows, {len(self.content):,} bytes, sha256 {self.sha256[:12]}"
        for overlaps, what in (
            (self.dropped, "left out, since they are also evaluated"),
            (self.near, f"near an evaluated one (half or more of its word 5-grams, bound {NEAR:g}), and kept"),
            (self.repeated, "repeating an earlier one, and kept"),
        ):
            if overlaps:
                named = ", ".join(map(str, overlaps[:3])) + (", ..." if len(overlaps) > 3 else "")
                yield f"{len(overlaps)} training rows {what}: {named}"


def build_training_file(suite: Suite, job: Finetune, samples: list[Sample]) -> TrainingFile:
    """Load the train split and make its file. Raises `UserError`, naming the row, for what must not be trained on."""
    rows = _training_samples(suite, job.train)
    found = leaks({row.id: row.input for row in rows}, _evaluated(suite, job, samples))
    exact = [overlap for overlap in found if overlap.exact]
    if exact and job.leaks == "error":
        more = f" ({len(exact)} such rows)" if len(exact) > 1 else ""
        raise UserError(
            f"{shown(suite.file)}: [finetune.{job.key}] training row {exact[0].row} is evaluated, too, as "
            f"{exact[0].other}{more}. Take it out, or set train.leaks = \"drop\" to leave such rows out of training"
        )
    leaking = {overlap.row for overlap in exact}
    kept = [row for row in rows if row.id not in leaking]
    text = "".join(_line(suite, row) for row in kept)
    file = TrainingFile(
        text=text,
        rows=len(kept),
        dropped=tuple(exact),
        near=tuple(overlap for overlap in found if not overlap.exact),
        repeated=tuple(duplicates({row.id: row.input for row in kept})),
    )
    _check(suite, job, file, [row.id for row in kept])
    return file


def build_validation_file(suite: Suite, job: Finetune) -> TrainingFile | None:
    """The file of the job's validation split, if it has one."""
    if job.validation is None:
        return None
    rows = _training_samples(suite, job.validation)
    return TrainingFile("".join(_line(suite, row) for row in rows), len(rows))


def _training_samples(suite: Suite, split: Split) -> list[Sample]:
    rows = [as_sample(suite, row) for row in load_rows(suite.dataset, suite.file, split)]
    seen: set[str] = set()
    for row in rows:
        if row.id in seen:
            raise UserError(f"{shown(suite.file)}: two rows of split {split.name!r} have the id {row.id!r}")
        seen.add(row.id)
    return rows


def _evaluated(suite: Suite, job: Finetune, samples: list[Sample]) -> dict[str, str]:
    validation = _training_samples(suite, job.validation) if job.validation else []
    return {sample.id: sample.input for sample in [*validation, *samples]}


def _line(suite: Suite, row: Sample) -> str:
    turns = prompt.messages(suite.user, suite.system, row.values)
    turns.append({"role": "assistant", "content": row.reference})
    return json.dumps({"messages": turns}, ensure_ascii=False) + "\n"


def _check(suite: Suite, job: Finetune, file: TrainingFile, ids: list[str]) -> None:
    """Check the very lines that will be uploaded, as the API will."""
    place = f"{shown(suite.file)}: [finetune.{job.key}]"
    if file.rows < FEWEST_EXAMPLES:
        raise UserError(f"{place} {file.rows} training rows; the API asks for at least {FEWEST_EXAMPLES}")
    if len(file.content) > LARGEST_BYTES:
        raise UserError(f"{place} the training file has {len(file.content):,} bytes, the API takes {LARGEST_BYTES:,}")
    roles = (["system"] if suite.system else []) + ["user", "assistant"]
    for row, line in zip(ids, file.text.split("\n"), strict=False):
        turns: list[dict[str, Any]] = json.loads(line)["messages"]
        if [turn["role"] for turn in turns] != roles:
            raise UserError(f"{place} training row {row}: roles are {[turn['role'] for turn in turns]}, not {roles}")
        if not all(turn["content"].strip() for turn in turns):
            raise UserError(f"{place} training row {row}: a turn is empty")
        if len(line.encode()) > LONGEST_TOKENS * BYTES_PER_TOKEN:
            tokens = len(line.encode()) // BYTES_PER_TOKEN
            raise UserError(f"{place} training row {row}: about {tokens:,} tokens; the API takes {LONGEST_TOKENS:,}")
