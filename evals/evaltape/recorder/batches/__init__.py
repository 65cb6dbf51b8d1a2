"""Answers by Batch JSONL: a line a request, a line an answer, as the Batch API and every engine that reads its files have it.

Reading order: `lines` (the format, and `--requests-to`), `outputs` (`--answers-from`); of `--batch` `engine` (its table says
when calls are submitted), `ordering` and `host`.
"""
