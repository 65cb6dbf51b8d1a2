"""A project with a fine-tuning job on twelve conversations, whose tuned model answers with the references."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaltape.finetuning.jobs import Jobs
from evaltape.finetuning.training_file import TrainingFile, build_training_file
from evaltape.recorder.client import Endpoint
from evaltape.recorder.job_driver import JobDriver
from evaltape.recorder.loop import Recorder
from evaltape.recorder.outcomes import Outcomes
from evaltape.recording.folder import Recordings
from evaltape.samples.sample import Sample
from evaltape.suite.commands import Commands
from evaltape.suite.definition import Finetune, Suite
from evaltape.suite.reader import load_suite

from tests.support.project import ROWS, Project, Running
from tests.support.server import ApiServer

KEY = "sk-test-0123456789abcdef0123"
ANIMALS = ("cat", "dog", "cow", "hen", "fox", "owl", "bee", "ant", "eel", "yak", "emu")
TRAINING = [
    {"id": "r1", "dialogue": 'Zoë: “ça va?” \\ "ok" {x}\n\tΩ: 好的 🙂\u2028bye', "summary": "Zoë says hello to Ω."},
    *(
        {"id": f"r{n}", "dialogue": f"Ann: my {animal} ran off\nBob: oh no", "summary": f"Ann lost her {animal}."}
        for n, animal in enumerate(ANIMALS, 2)
    ),
]
JOB = """
[finetune.tuned]
base = "small"
train = { split = "train" }
suffix = "talks"
seed = 7
hyperparameters = { n_epochs = 1 }
poll_seconds = 0.1
gates = { rouge1 = 0.9 }

[compare.tuning-helps]
baseline = "small"
candidate = "tuned"
min_gain = { rouge1 = 0.02 }
"""


class Log(dict[str, str]):
    """A dictionary that remembers every value it was ever given."""

    def __init__(self) -> None:
        super().__init__()
        self.values_set: list[str] = []

    def __setitem__(self, key: str, value: str) -> None:
        super().__setitem__(key, value)
        self.values_set.append(value)


@dataclass(frozen=True)
class Driven:
    """What came of driving a job: the error or None, what was noted, and every status that was shown."""

    error: str | None
    notes: list[str]
    shown: list[str]
    recorder: Recorder


class TuningProject(Project):
    """The project, the server its job runs at, and ways to come to parts of the harness without a run of pytest."""

    def __init__(self, root: Path, api: ApiServer) -> None:
        super().__init__(root, api.base_url)
        self.api = api
        self._started: list[Running] = []
        self.data.unlink()
        self.splits = root / "evals/data/talks"
        self.data = self.splits / "validation.jsonl"
        self.splits.mkdir()
        self.edit_suite("talks.jsonl", "talks")
        self.extend_suite(JOB)
        self.write_rows(ROWS)
        self.write_split("train", TRAINING)
        self.job_cassette = self.cassettes / "tuned/job.yaml"
        api.references = {row["dialogue"]: row["summary"] for row in ROWS}

    def start(self, *args: str, key: str | None = None, environment: dict[str, str] | None = None) -> Running:
        """As every project's; what still runs at the end of a test is killed by `end`."""
        self._started.append(super().start(*args, key=key, environment=environment))
        return self._started[-1]

    def end(self) -> None:
        """Kill what a test that failed has left running."""
        for running in self._started:
            if running.process.is_alive():
                running.kill()

    def write_split(self, split: str, rows: Iterable[dict[str, str]]) -> None:
        """Replace a split."""
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (self.splits / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")

    @property
    def uploads(self) -> int:
        """How many training files the server keeps."""
        return sum(file["purpose"] == "fine-tune" for file, _ in self.api.tuning.files.values())

    @property
    def job_ids(self) -> list[str]:
        """The jobs that the server knows."""
        return list(self.api.tuning.jobs)

    # ------------------------------------------------------------ without pytest

    def loaded(self) -> tuple[Suite, Finetune]:
        """The suite, and its job."""
        suite = load_suite(self.suite)
        job = suite.models["tuned"].job
        assert job is not None
        return suite, job

    def samples(self) -> list[Sample]:
        """The evaluated samples."""
        rows = [json.loads(line) for line in self.data.read_text(encoding="utf-8").split("\n") if line]
        return [Sample(row["id"], row["dialogue"], (row["summary"],)) for row in rows]

    def training_file(self) -> TrainingFile:
        """The file that would be uploaded."""
        return build_training_file(*self.loaded(), self.samples())

    def jobs(self) -> Jobs:
        """The suite's jobs."""
        commands = Commands(self.suite, self.suite, self.cassettes, self.cassettes)
        return Jobs(self.loaded()[0], self.cassettes, self.samples, commands)

    def recordings(self) -> Recordings:
        """The suite's recordings."""
        return Recordings(self.cassettes, self.loaded()[0], self.jobs().served, lambda model, sample: "record")

    def drive(self, retrain: bool = False, budget_usd: float | None = None, spent_usd: float = 0.0) -> "Driven":
        """Drive the job to its end, as a recording does beside its calls."""
        prepared = self.jobs().prepare(self.loaded()[1])
        recorder = Recorder(Outcomes(), 16, budget_usd)
        recorder.tally.statuses, recorder.tally.job_cost_usd = Log(), spent_usd
        endpoint = Endpoint(self.base_url, KEY, 10.0)

        async def drive() -> str | None:
            try:
                return await JobDriver(prepared, endpoint, recorder, retrain).drive()
            finally:
                await endpoint.close()

        return Driven(asyncio.run(drive()), recorder.tally.notes, recorder.tally.statuses.values_set, recorder)

    def results_of(self, *args: str) -> Any:
        """What the results file of a run says of the suite."""
        return self._results("evals", *args)["suites"]["chats"]
