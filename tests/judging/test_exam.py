"""The exam by mutants: what is asked, and what a judge that lies at known rates gets for it."""

from collections.abc import Callable

import pytest
from evaltape.judging.exam import mark, questions_of, references_of, set_paper
from evaltape.judging.labels import Question
from evaltape.mutation.operators import BUILT_IN
from evaltape.samples.sample import Sample

OPERATORS = [BUILT_IN[name] for name in ("swap_names", "wrong_number", "preamble", "final_stop")]


def samples(count: int = 30) -> list[Sample]:
    """Chats, of which every second has a number in its reference."""
    made = []
    for number in range(count):
        when = f" at {number + 1}" if number % 2 else ""
        dialogue = f"Ann: Shall we meet{when}?\nBob: Fine, {number}."
        made.append(Sample(str(number), dialogue, (f"Ann asks Bob to meet{when}.",)))
    return made


def test_each_operator_gets_as_many_references_as_it_applies_to_and_they_share_them() -> None:
    paper = set_paper(OPERATORS, samples(), 10)
    assert [(damage.operator, len(damage.pairs)) for damage in paper] == [
        ("swap_names", 10),
        ("wrong_number", 10),
        ("preamble", 10),
        ("final_stop", 10),
    ]
    assert all(pair.before != pair.after for damage in paper for pair in damage.pairs)
    # Ten references serve the three operators that apply to all; the one for numbers passes over those without one.
    assert len(references_of(paper)) < 2 * 10
    assert len(questions_of(paper, [])) == len(references_of(paper)) + 40
    assert set_paper(OPERATORS, samples(), 10) == paper
    few = set_paper(OPERATORS, samples(8), 10)
    assert [len(damage.pairs) for damage in few] == [8, 4, 8, 8]


def perfect(paper_samples: list[Sample]) -> Callable[[Question], float | None]:
    known = {sample.id: sample.references[0] for sample in paper_samples}

    def judge(question: Question) -> float | None:
        reference = known[question.sample]
        return float(question.answer.removeprefix("Here is a summary:\n\n").rstrip(".") == reference.rstrip("."))

    return judge


def test_a_perfect_judge_notices_all_and_alarms_nobody() -> None:
    paper = set_paper(OPERATORS, samples(), 10)
    marks = mark(paper, perfect(samples()))
    assert {name: noticed.mean for name, noticed in marks.noticed.items()} == {"swap_names": 1, "wrong_number": 1}
    assert marks.alarms is not None
    assert marks.harmless is not None
    assert (marks.alarms.mean, marks.harmless.mean) == (0, 0)
    # Wilson's lower end for 10 of 10 is 10 / (10 + 1.96^2).
    assert marks.noticed["swap_names"].low == pytest.approx(10 / (10 + 1.96**2), abs=1e-4)


def test_a_judge_that_says_yes_to_all_notices_nothing_and_shows_its_pairs() -> None:
    marks = mark(set_paper(OPERATORS, samples(), 10), lambda question: 1.0)
    assert {name: noticed.mean for name, noticed in marks.noticed.items()} == {"swap_names": 0, "wrong_number": 0}
    missed = marks.operators[0].missed
    assert len(missed) == 10
    assert missed[0].before.startswith("Ann asks Bob")
    assert missed[0].after.startswith("Bob asks Ann")


def test_a_judge_that_says_no_to_all_alarms_everybody() -> None:
    marks = mark(set_paper(OPERATORS, samples(), 10), lambda question: 0.0)
    assert {noticed.mean for noticed in marks.noticed.values()} == {1}
    assert marks.alarms is not None
    assert marks.harmless is not None
    assert (marks.alarms.mean, marks.harmless.mean) == (1, 1)


def test_a_verdict_that_cant_be_read_counts_against_the_judge() -> None:
    marks = mark(set_paper(OPERATORS, samples(), 10), lambda question: None)
    assert {noticed.mean for noticed in marks.noticed.values()} == {0}
    assert marks.alarms is not None
    assert marks.harmless is not None
    assert (marks.alarms.mean, marks.harmless.mean) == (1, 1)


def test_on_a_scale_a_mutant_has_to_stand_under_its_reference() -> None:
    paper = set_paper(OPERATORS, samples(), 10)
    right = perfect(samples())
    marks = mark(paper, lambda question: 0.75 if right(question) else 0.5, is_scale=True)
    assert {noticed.mean for noticed in marks.noticed.values()} == {1}
    assert marks.alarms is not None
    assert marks.harmless is not None
    assert (marks.alarms.mean, marks.harmless.mean) == (0, 0)
    same = mark(paper, lambda question: 0.75, is_scale=True)
    assert {noticed.mean for noticed in same.noticed.values()} == {0}


def test_rates_by_operator_are_found() -> None:
    paper, right = set_paper(OPERATORS, samples(400), 100), perfect(samples(400))
    swapped = [Question(pair.sample, pair.after) for pair in paper[0].pairs]
    lies = set(swapped[:70])  # 70 of 100 swapped names pass as true
    marks = mark(paper, lambda question: 1.0 if question in lies else right(question))
    assert marks.noticed["swap_names"].mean == pytest.approx(0.3)
    assert marks.noticed["wrong_number"].mean == 1
    assert [Question(pair.sample, pair.after) for pair in marks.operators[0].missed] == swapped[:70]
