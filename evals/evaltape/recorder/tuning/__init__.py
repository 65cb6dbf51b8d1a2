"""Drives fine-tuning jobs in the recorder: a job is looked for, ordered at most once, waited for and recorded.

Reading order: `states` (the table that decides what may be paid when), `driver` (takes the steps), then the steps: `looking`,
`ordering`, `waiting` and `recording`. `search` and `rivals` keep a job from being paid twice, `told` compares the host's
words with the order. Hosts are `openai_host`, or a class of the user's, by `hosts`; they ask through `asking`.
"""
