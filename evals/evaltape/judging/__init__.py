"""Judges: models that score answers, and the exams that they must pass before a gate may rest on them.

`verdict` asks a judge and reads its answer, `labels` reads people's verdicts on the same answers, `agreement` measures how
well both agree. `exam` examines a judge by damaged references and labels; `scoring.ground` corrects means for its errors.
"""
