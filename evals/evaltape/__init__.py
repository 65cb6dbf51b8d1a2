"""The machinery behind the suites: recording, replay, scoring, gates, comparisons and fine-tuning jobs.

The way through is one direction. `plugin` is what pytest sees, `session` holds one run together, and everything below
them knows nothing of pytest:

    suite → samples → prompt → (recorder → endpoint → cassettes) → prediction → rouge → evidence → terminal, results
"""
