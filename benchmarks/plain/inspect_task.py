"""The same samples, server and scores as an inspect_ai task."""

import json
import os
from pathlib import Path

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import GenerateConfig
from inspect_ai.scorer import Score, Target, mean, scorer
from inspect_ai.solver import TaskState, generate
from rouge_score.rouge_scorer import RougeScorer

METRICS = ["rouge1", "rouge2", "rougeL"]
PROMPT = "Summarize the following conversation in one sentence.\n\n"


@scorer(metrics={"*": [mean()]})
def rouge():
    scorer = RougeScorer(METRICS)

    async def score(state: TaskState, target: Target) -> Score:
        scores = scorer.score(target.text, state.output.completion)
        return Score(value={metric: scores[metric].fmeasure for metric in METRICS})

    return score


@task
def chats():
    rows = [json.loads(line) for line in Path(os.environ["SAMPLES"]).read_text().splitlines()]
    samples = [Sample(id=row["id"], input=PROMPT + row["dialogue"], target=row["summary"]) for row in rows]
    config = GenerateConfig(temperature=0, max_tokens=64)
    return Task(dataset=MemoryDataset(samples), solver=generate(), scorer=rouge(), config=config)
