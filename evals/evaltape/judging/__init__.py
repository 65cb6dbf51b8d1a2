"""Judges: models that score answers, and the exams that they must pass before a gate may rest on them.

`verdict` reads a judge's answer, `labels` people's verdicts on the same answers, `agreement` measures how well the two agree,
`exam` asks a judge to tell references from their damaged copies, and `correction` corrects a mean for a judge's errors.
"""
