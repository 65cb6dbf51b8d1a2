"""Drives fine-tuning jobs in the recorder: a job is looked for, ordered at most once, waited for and recorded.

Reading order: `states` (the table that decides what may be paid when), `driver` (takes the steps), then `intent`, `search`
and `rivals`, which keep one job from being paid twice, and `order`, `api`, `remote`, `patience`, `result`.
"""
