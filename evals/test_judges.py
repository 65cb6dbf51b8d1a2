"""The assertion on each judge: it passes the exam that the suite sets."""

import evaltape


def test_judge(judge: evaltape.Examined) -> None:
    assert judge.passed, str(judge)
