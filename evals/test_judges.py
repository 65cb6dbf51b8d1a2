"""What is asserted of every judge: it passes the exam that the suite sets it."""

import evaltape


def test_judge(judge: evaltape.Examined) -> None:
    assert judge.passed, str(judge)
