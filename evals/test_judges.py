"""What is asserted of every judge: it passes the exam that the suite sets it."""


def test_judge(judge):
    assert judge.passed, judge
