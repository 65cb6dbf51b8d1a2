"""Makes `evals/data/faithful`, on which a small judge is tuned: short chats with a summary that is true, or damaged.

    python -m benchmarks.judge_rows

Each chat of at most 240 characters gives two rows: its reference, answered by yes, and one mutant of it, answered by no. The
operators take turns, so each damages about as many. No chat of the suite that the judge scores is among the training rows.
"""

import json
from itertools import cycle
from pathlib import Path

from evaltape.mutation.operators import BUILT_IN, Answers, Operator
from evaltape.samples.sample import Sample

DATA = Path("evals/data")
OPERATORS = ("swap_names", "other_name", "negate", "wrong_number")
LONGEST = 240
VALIDATION = 20
"""Chats of the test split, which are two rows each."""

Row = dict[str, str]


def rows(split: str, most: int | None = None) -> list[Row]:
    """Return the rows made of a split's chats."""
    chats = [json.loads(line) for line in (DATA / "chats" / f"{split}.jsonl").read_text("utf-8").splitlines()]
    answers = [(Sample(chat["id"], chat["dialogue"], (chat["summary"],)), chat["summary"]) for chat in chats]
    turns = cycle(BUILT_IN[name] for name in OPERATORS)
    made: list[Row] = []
    for sample, reference in answers:
        if len(sample.input) > LONGEST or (most is not None and len(made) == 2 * most):
            continue
        operator, mutant = _damaged(sample, reference, [next(turns) for _ in OPERATORS], answers)
        if mutant is not None:
            made += [_row(sample, "whole", reference, "yes"), _row(sample, operator, mutant, "no")]
            next(turns)
    return made


def _damaged(sample: Sample, reference: str, operators: list[Operator], answers: Answers) -> tuple[str, str | None]:
    """Return the first of these operators that applies, with the mutant."""
    made = ((operator.name, operator.apply(sample, reference, answers)) for operator in operators)
    return next(((name, mutant) for name, mutant in made if mutant is not None), ("", None))


def _row(sample: Sample, kind: str, summary: str, verdict: str) -> Row:
    return {"id": f"{sample.id}-{kind}", "dialogue": sample.input, "summary": summary, "verdict": verdict}


def text(made: list[Row]) -> str:
    """Return rows as JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made)


if __name__ == "__main__":
    folder = DATA / "faithful"
    folder.mkdir(exist_ok=True)
    (folder / "train.jsonl").write_text(text(rows("train")), "utf-8")
    (folder / "validation.jsonl").write_text(text(rows("test", VALIDATION)), "utf-8")
