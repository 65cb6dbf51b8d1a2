"""A project with a judge, whose verdicts a test makes up: recordings of a judge that errs at known rates.

Cassettes are written through the package's own writer, so no process records them.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evaltape.cli.label import replay_workspaces
from evaltape.recording import cassettes
from evaltape.recording.cassettes import Exchange
from evaltape.recording.verdicts import Asked
from evaltape.samples.frozen import promote
from evaltape.samples.suite_samples import stage_samples
from evaltape.suite.reader import load_suite
from evaltape.workspace import Workspace

from tests.support.project import PYTEST_INI, Project
from tests.support.server.replies import completion

SUITE = """\
[dataset]
path = "../data/talks.jsonl"

[metrics]
rouge1 = {}
faithful = { judge = "faithful" }

[judges.faithful]
model = "judge-1"
base_url = "BASE_URL"
prompt = \"\"\"
{input}

Summary: {answer}
\"\"\"
verdict = { json = "faithful" }

[judges.faithful.exam]
mutants = ["swap_names", "negate"]
samples = 20

[models.old]
predictions = "../data/old.jsonl"
gates = { rouge1 = 0.1, faithful = 0.5 }
"""
SAMPLES = 60
Judge = Callable[[Asked], Any]
"""The verdict on a text: true, false, or a text that stands for the judge's whole answer."""


def rows(count: int = SAMPLES) -> list[dict[str, str]]:
    """Chats of two people each; their summaries can be damaged in many ways."""
    return [
        {
            "id": f"t{number:03}",
            "dialogue": f"Ann: Can you bring {number} plates?\nBob: I will bring {number} plates.",
            "summary": f"Ann asks Bob whether he will bring {number} plates.",
        }
        for number in range(count)
    ]


def is_true(asked: Asked) -> bool:
    """Whether a text says what the reference does, or is one of the model's good answers."""
    text = asked.answer.removeprefix("Here is a summary:\n\n").strip("“”\n ").rstrip(".")
    text = " ".join(text.split())
    return text in (asked.sample.references[0].rstrip("."), good(asked.sample.id).rstrip("."))


def good(sample: str) -> str:
    """A true answer to a sample."""
    return f"Bob will bring {int(sample[1:])} plates."


class JudgedProject(Project):
    """A project whose model has its answers in a file, four of five of them true, and a judge."""

    def __init__(self, root: Path, base_url: str = "http://127.0.0.1:9/v1", suite: str = SUITE) -> None:
        super().__init__(root, base_url)
        (root / "pytest.ini").write_text(PYTEST_INI)
        self.suite.write_text(suite.replace("BASE_URL", base_url))
        self.write_rows(rows())
        self.write_answers([answer(row["id"]) for row in rows()])

    def write_answers(self, texts: list[str]) -> None:
        """Replace the model's answers."""
        lines = [{"id": row["id"], "prediction": text} for row, text in zip(rows(), texts, strict=True)]
        (self.data.parent / "old.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    def write_labels(self, labels: list[dict[str, Any]]) -> None:
        """Write people's labels, and let the exam name them."""
        (self.data.parent / "labels.jsonl").write_text("".join(json.dumps(line) + "\n" for line in labels))
        if "labels =" not in self.suite.read_text():
            self.edit_suite("[judges.faithful.exam]", '[judges.faithful.exam]\nlabels = "../data/labels.jsonl"')

    @property
    def workspace(self) -> Workspace:
        """What is on disk of the suite, read anew."""
        return replay_workspaces(self.root, None)[0]

    def freeze(self) -> None:
        """Freeze the samples as a recording does."""
        stage_samples(load_suite(self.suite), self.cassettes, fresh=True)
        promote(self.cassettes)

    def judge(self, judge: Judge, again: int = 1) -> None:
        """Record a judge's verdicts on all answers, each so often, and in its exam."""
        self.freeze()
        workspace = self.workspace
        for key, exam in workspace.exams.items():
            for asked in exam.questions.values():
                self.write(asked, judge(asked))
            for model in workspace.suite.models.values():
                for sample in workspace.samples:
                    text = workspace.recordings.answer(model, sample).text
                    for number in range(1, again + 1):
                        asked = Asked(workspace.suite.judges[key], sample, text, model.key, again=number)
                        self.write(asked, judge(asked))

    def write(self, asked: Asked, verdict: Any) -> None:
        """Record one verdict."""
        said = verdict if isinstance(verdict, str) else json.dumps({"faithful": verdict})
        body = self.workspace_request(asked)
        reply = completion(body, said)
        exchange = Exchange("POST", f"{self.base_url}/chat/completions", body, 200, reply.body)
        cassettes.write(self.cassettes / asked.place, [exchange])

    @staticmethod
    def workspace_request(asked: Asked) -> dict[str, Any]:
        """The JSON that a judge is asked with."""
        from evaltape.judging.verdict import judge_request

        return judge_request(asked.judge, asked.sample, asked.answer)


def answer(sample: str) -> str:
    """The model's answer to a sample: one of five is false."""
    number = int(sample[1:])
    return good(sample) if number % 5 else f"Ann will bring {number} plates."
