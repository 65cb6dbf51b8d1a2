"""Drives fine-tuning jobs in the recorder: a job is looked for, ordered at most once, waited for and recorded."""
