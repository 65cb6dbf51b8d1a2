"""Verdicts are found wherever a judge puts them, and nothing else is taken for one."""

import pytest
from evaltape.judging.verdict import Unread, read_verdict
from evaltape.suite.definition import Verdict

FAITHFUL = Verdict(json="faithful")
FIVE = Verdict(json="score", scale=(1, 5))


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ('{"faithful": true}', 1),
        ('{"faithful": false, "reason": "nobody {says} so"}', 0),
        ('Let me see.\n```json\n{"faithful": "Yes"}\n```\nDone.', 1),
        ('<think>{"faithful": true}, or not?</think>{"faithful": "no"}', 0),
        ('A form would be {"faithful": true}. I say: {"faithful": false}', 0),
        ('{"notes": {"faithful": true}, "faithful": false}', 0),
        ('{broken {"faithful": 1}', 1),
        ('{"faithful": "**TRUE**."}', 1),
    ],
)
def test_true_and_false_in_json(answer: str, score: float) -> None:
    assert read_verdict(answer, FAITHFUL) == score


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("Yes, it is faithful.", "no JSON object with the key 'faithful' in 'Yes, it is faithful.'"),
        ('{"faithful": maybe}', "no JSON object with the key 'faithful' in '{\"faithful\": maybe}'"),
        ('{"faithful": "partly"}', "its verdict is 'partly', not true or false"),
        ('{"faithful": null}', "its verdict is null, not true or false"),
        ('{"faithful": 0.5}', "its verdict is 0.5, not true or false"),
        ('{"faithful": [true]}', "its verdict is [true], not true or false"),
        ('{"faithful": true, "faithful": false}', "no JSON object with the key 'faithful'"),
        ('<think>{"faithful": true}</think>', "no JSON object with the key 'faithful' in ''"),
    ],
)
def test_an_answer_without_a_verdict_says_why(answer: str, reason: str) -> None:
    with pytest.raises(Unread) as told:
        read_verdict(answer, FAITHFUL)
    assert str(told.value).startswith(reason)


def test_a_scale_becomes_0_to_1() -> None:
    read = [read_verdict(f'{{"score": {number}}}', FIVE) for number in ("1", "2", "4.5", '"5"')]
    assert read == [0, 0.25, 0.875, 1]
    for outside in ("0", "6", "NaN", "true", '"high"', "1e999"):
        with pytest.raises(Unread):
            read_verdict(f'{{"score": {outside}}}', FIVE)
    with pytest.raises(Unread, match="its verdict is 7, not a number from 1 to 5"):
        read_verdict('{"score": 7}', FIVE)


def test_a_regular_expression_finds_its_first_match() -> None:
    named = Verdict(regex=r"(?i)verdict: *(\w+)")
    assert read_verdict("I doubt it. Verdict: no. Verdict: yes", named) == 0
    assert read_verdict("Yes.", Verdict(regex="^(?:Yes|No)")) == 1
    assert read_verdict("<think>Verdict: no</think>Verdict: YES", named) == 1
    assert read_verdict("Rating: 4 of 5", Verdict(regex=r"Rating: (\d)", scale=(1, 5))) == 0.75
    with pytest.raises(Unread, match="doesn't match 'no idea'"):
        read_verdict("no idea", named)
    with pytest.raises(Unread, match="its verdict is 'maybe', not true or false"):
        read_verdict("verdict: maybe", named)
