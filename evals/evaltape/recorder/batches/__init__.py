"""Answers by Batch JSONL: a line a request, a line an answer, as the Batch API and every engine that reads its files have it.

Reading order: `lines` (the format), `requests` (`--requests-to`), `outputs` and `from_files` (`--answers-from`); of `--batch`
`engine`, `drive` (its table says what is submitted when), `ordering`, `collecting` and `host`.
"""
