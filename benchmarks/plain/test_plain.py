"""The plain way: a test and a pytest-recording cassette per sample, the official client, rouge_score."""

import json
import os
from pathlib import Path

import openai
import pytest
from rouge_score.rouge_scorer import RougeScorer

METRICS = ["rouge1", "rouge2", "rougeL"]
PROMPT = "Summarize the following conversation in one sentence.\n\n"
SAMPLES = [json.loads(line) for line in Path(os.environ["SAMPLES"]).read_text().splitlines()]
SCORES = []

client = openai.OpenAI()
scorer = RougeScorer(METRICS)


@pytest.fixture(scope="module")
def vcr_config():
    return {"match_on": ["method", "path", "body"], "filter_headers": ["authorization"]}


@pytest.mark.vcr
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["id"])
def test_sample(sample, record_property):
    answer = client.chat.completions.create(
        model="bench",
        messages=[{"role": "user", "content": PROMPT + sample["dialogue"]}],
        temperature=0,
        max_completion_tokens=64,
    )
    text = answer.choices[0].message.content
    assert text
    scores = scorer.score(sample["summary"], text)
    SCORES.append({metric: scores[metric].fmeasure for metric in METRICS})
    record_property("scores", SCORES[-1])


@pytest.mark.parametrize("metric", METRICS)
def test_rouge(metric):
    assert sum(scores[metric] for scores in SCORES) / len(SCORES) > 0.01
