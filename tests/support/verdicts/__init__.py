"""Random suites, and a plain recomputation of all that a run says of them: of verdicts, outcomes of tests and exit codes.

Nothing here imports the package: what it says is held against formulas written from docs/statistics.md alone.
"""
