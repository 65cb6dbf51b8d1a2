"""A project with a fine-tuning job on twelve conversations, whose tuned model answers with the references."""

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaltape.finetuning.jobs import Jobs
from evaltape.finetuning.training_file import TrainingFile, build_training_file
from evaltape.recorder.api.asking import Patience
from evaltape.recorder.api.client import Endpoint
from evaltape.recorder.loop import Recorder
from evaltape.recorder.tuning.driver import Drives, drive_job
from evaltape.recorder.tuning.states import Drive, End, State
from evaltape.recorder.wire import Outcomes
from evaltape.recording.folder import Recordings
from evaltape.samples.sample import Sample
from evaltape.suite.commands import Commands
from evaltape.suite.definition import Finetune, Suite
from evaltape.suite.reader import load_suite
from msgspec.structs import replace

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
"""
COMPARISON = """
[compare.tuning-helps]
baseline = "small"
candidate = "tuned"
min_gain = { rouge1 = 0.02 }
"""
TWELVE_ROWS = [*ROWS, *({**row, "id": f"{row['id']}b", "dialogue": f"{row['dialogue']}!"} for row in ROWS)]
"""As many as a comparison takes to pass; answered and scored like the six."""
BRISK = Patience(
    read_s=1.0, poll_s=1.0, order_s=0.5, look_s=0.4, look_every_s=0.02, rivals_s=2.0, settle_s=0.04, file_s=5.0, serve_s=5.0, longest_wait_s=0.02, extra_s=0.5,
    first_backoff_s=0.01, longest_backoff_s=0.1, longest_retry_after_s=0.3,
)  # fmt: skip
"""The waits of a job's driver, as short as a local server allows."""


@dataclass(frozen=True)
class Driven:
    """What came of driving a job."""

    state: State | None
    """None if it was interrupted."""
    error: str | None
    notes: list[str]
    shown: list[str]
    """Every status, in order."""
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

    def start(
        self, *args: str, key: str | None = None, environment: dict[str, str] | None = None, forks: bool = True
    ) -> Running:
        """As every project's; what still runs at the end of a test is killed by `end`."""
        self._started.append(super().start(*args, key=key, environment=environment, forks=forks))
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
        commands = Commands(["evals"])
        return Jobs(self.loaded()[0], self.cassettes, self.samples, commands)

    def recordings(self) -> Recordings:
        """The suite's recordings."""
        return Recordings(self.cassettes, self.loaded()[0], self.jobs().served, lambda model: "record")

    def endpoint(self, base_url: str | None = None) -> Endpoint:
        """The endpoint its models are asked at, or another."""
        return Endpoint(base_url or self.base_url, KEY, 10.0)

    def drive(self, **options: Any) -> "Driven":
        """Drive the job to its end, as a recording does beside its calls; for the options see `drive_in_loop`."""
        return asyncio.run(self.drive_in_loop(**options))

    async def drive_in_loop(
        self,
        retrain: bool = False,
        budget_usd: float | None = None,
        spent_usd: float = 0.0,
        may_replace: bool = True,
        timeout_s: float = 10.0,
        patience: Patience = BRISK,
        until: Callable[[list[str]], Any] | None = None,
    ) -> "Driven":
        """The same in a loop that others run in, too; interrupted once `until` holds of the statuses shown so far."""
        recorder = Recorder(Outcomes(), 16, budget_usd)
        recorder.budget.spend.usd = spent_usd
        shown: list[str] = []
        prepared = self.jobs().prepare("tuned")
        drive = Drive(
            # Polled more often than in runs of pytest, where the calls to the base are to be seen beside the job.
            prepared=replace(prepared, job=replace(prepared.job, poll_seconds=prepared.job.poll_seconds / 10), root=self.root),
            endpoint=Endpoint(self.base_url, KEY, timeout_s),
            budget=recorder.budget,
            tell=recorder.tally.notes.append,
            tell_state=shown.append,
            retrain=retrain,
            may_replace=may_replace,
            patience=patience,
        )
        task = asyncio.create_task(drive_job(drive))
        try:
            while until is not None and not until(shown):
                await asyncio.sleep(0.01)
            if until is not None:
                task.cancel()
            result = await task
        except asyncio.CancelledError:
            return Driven(None, None, recorder.tally.notes, shown, recorder)
        finally:
            await drive.endpoint.close()
        return Driven(result.state, result.failure and str(result.failure), recorder.tally.notes, shown, recorder)

    def drive_all(self, keys: Iterable[str], drives: Drives) -> list[End]:
        """Drive jobs at once in one session."""

        async def drive() -> list[End]:
            recorder = Recorder(Outcomes(), 16)
            endpoint = Endpoint(self.base_url, KEY, 10.0)
            jobs = [replace(self.jobs().prepare(key), root=self.root) for key in keys]
            orders = [Drive(job, endpoint, recorder.budget, print, print, patience=BRISK) for job in jobs]
            try:
                return await asyncio.gather(*map(drives.drive, orders))
            finally:
                await endpoint.close()

        return asyncio.run(drive())

    def interrupt(self, until: Callable[[list[str]], Any]) -> "Driven":
        """Drive the job, and interrupt it as Ctrl-C does."""
        return self.drive(until=until)

    def copy(self, name: str) -> "TuningProject":
        """The same project on another machine, with nothing recorded."""
        project = TuningProject(self.root.parent / name, self.api)
        project.suite.write_text(self.suite.read_text())
        return project

    def results_of(self, *args: str) -> Any:
        """What the results file of a run says of the suite."""
        return self._results("evals", *args)["suites"]["chats"]
