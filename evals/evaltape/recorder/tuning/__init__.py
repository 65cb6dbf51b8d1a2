"""Drives fine-tuning jobs in the recorder: a job is looked for, ordered at most once, waited for and recorded.

Reading order: `states` (the table that decides when to pay, and the steps), `driver` (takes them), then `looking`,
`ordering` and `waiting`. `matching` keeps a job from being paid twice. Hosts are in `hosts`.
"""
