"""The order in which answers are labelled."""

from evaltape.judging.labels import Candidate, Label, first_turns, second_turns
from evaltape.samples.sample import Sample

SAMPLES = [Sample(str(number), f"chat {number}", ("reference",)) for number in range(40)]


def candidates() -> list[Candidate]:
    """Forty answers whose metric grows with their number; the judge likes the lower half, but for the first three."""
    return [
        Candidate(sample, "small", f"answer {number}", float(3 <= number < 20), number / 40)
        for number, sample in enumerate(SAMPLES)
    ]


def test_where_judge_and_metric_disagree_comes_first_and_the_rest_at_random() -> None:
    turns = first_turns(candidates(), [], "ann")
    assert len(turns) == 40
    chosen = [turn.sample.id for turn in turns if turn.use == "disagreement"]
    assert [turn.use for turn in turns] == ["disagreement"] * 20 + ["random"] * 20
    # The judge dislikes the answer that the metric ranks highest most wrongly.
    assert chosen[0] == "39"
    assert not {"0", "1", "2"} & set(chosen)
    others = [turn.sample.id for turn in turns if turn.use == "random"]
    assert others != sorted(others, key=int)
    assert first_turns(candidates(), [], "ann") == turns


def test_answers_that_are_labelled_already_are_left_out_and_equal_ones_are_shown_once() -> None:
    twice = [*candidates(), Candidate(SAMPLES[0], "large", "answer 0")]
    labels = [Label("39", "answer 39", 1.0, by="ann"), Label("38", "answer 38", 1.0, by="bob")]
    turns = first_turns(twice, labels, "ann")
    assert len(turns) == 39
    assert "39" not in {turn.sample.id for turn in turns}


def test_without_verdicts_all_come_at_random() -> None:
    plain = [Candidate(sample, "small", "text " + sample.id) for sample in SAMPLES]
    assert {turn.use for turn in first_turns(plain, [], "ann")} == {"random"}


def test_a_second_time_come_ones_own_labels_in_another_order() -> None:
    labels = [Label(str(n), f"answer {n}", 1.0, "small", "ann", "random") for n in range(30)]
    labels += [Label("30", "x", 1.0, by="bob"), Label("0", "answer 0", 0.0, "small", "ann", "second")]
    turns = second_turns(labels, "ann", SAMPLES)
    ids = [turn.sample.id for turn in turns]
    assert sorted(ids, key=int) == [str(n) for n in range(1, 30)]
    assert ids != sorted(ids, key=int)
    assert {turn.use for turn in turns} == {"second"}
