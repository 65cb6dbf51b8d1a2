"""A recorder in this process, at the test server: its loop, calls and files are real, without a session around them."""

import contextlib
import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from evaltape.recorder.api.client import Endpoint
from evaltape.recorder.batches.lines import write_requests
from evaltape.recorder.lane import Call, Lane
from evaltape.recorder.loop import Recorder
from evaltape.recorder.main import engine_of
from evaltape.recorder.plan import Planner
from evaltape.recorder.wire import Outcomes, Tally
from evaltape.recording.folder import locked
from evaltape.recording.unfinished import Unfinished
from evaltape.samples.sample import Sample
from evaltape.samples.suite_samples import settle_samples
from evaltape.settings import RECORD
from evaltape.suite.definition import Model
from evaltape.suite.reader import read_suites
from evaltape.workspace import Workspace

from tests.support.options import settings_of
from tests.support.project import Project
from tests.support.tuning import TuningProject

SAMPLES = 24
"""How many samples a recording has."""


class Watched(Recorder):
    """A recorder that keeps every tally it reports, and is stopped once one meets `until`."""

    def __init__(
        self, concurrency: int = 4, budget_usd: float | None = None, until: Callable[[Tally], Any] | None = None
    ) -> None:
        self.reports: list[dict[str, Any]] = []

        def report(tally: Tally) -> None:
            self.reports.append(msgspec.to_builtins(tally))
            if until is not None and until(tally):
                self.stop("interrupted")

        super().__init__(Outcomes(), concurrency, budget_usd, report)

    def errors(self) -> dict[str, str]:
        """Why calls have ended without an answer, by their sample."""
        return {sample: str(end) for (_, _, sample), end in self.outcomes._ends.items() if end is not None}


def record_here(project: Project, *args: str, only: Iterable[str] | None = None) -> dict[str, str]:
    """Record all samples, or some, as `pytest evals ARGS` does, within this process; why calls have failed, by sample."""
    return recorder_here(project, *args, only=only).errors()


def recorder_here(project: Project, *args: str, only: Iterable[str] | None = None) -> Watched:
    """Record likewise; return the recorder, which has ended. Raises `UserError` if the recording can't begin."""
    settings = settings_of(project.root, "evals", *args)
    with contextlib.chdir(project.root):
        (suite,) = read_suites(settings.suites)
        workspace = Workspace(suite, settings)
        recorder = Watched(settings.concurrency, settings.budget_usd)
        recorder.engine = engine_of(settings, {suite.name: workspace}, recorder)
        with locked(workspace.folder, settings.cassettes, suite.models, suite.file):
            workspace.freeze_samples()
            samples = [sample.id for sample in workspace.samples] if only is None else list(only)
            selection = [(suite.name, key, samples) for key in suite.models]
            Planner(settings, {suite.name: workspace}, recorder).plan(selection)
            settle_samples(suite, workspace.folder, fresh=settings.mode == RECORD)
            recorder.run()
            for key in suite.models:
                workspace.arrange(key)
    return recorder


def requests_here(project: Project, *args: str) -> dict[str, dict[str, Any]]:
    """Write the requests to all samples as `pytest evals ARGS --requests-to out` does; return those to `small` by custom_id."""
    settings = settings_of(project.root, "evals", *args, "--requests-to", "out")
    with contextlib.chdir(project.root):
        (suite,) = read_suites(settings.suites)
        workspace, recorder = Workspace(suite, settings), Recorder(Outcomes(), 1)
        selection = [(suite.name, key, [sample.id for sample in workspace.samples]) for key in suite.models]
        Planner(settings, {suite.name: workspace}, recorder).plan(selection)
        write_requests(recorder.lanes, [suite], Path("out"))
    return requests_in(project)


def requests_in(project: Project) -> dict[str, dict[str, Any]]:
    """The requests to `small` that `--requests-to out` has written, by custom_id."""
    lines = (project.root / "out/chats.small.jsonl").read_text().splitlines()
    return {line["custom_id"]: line for line in map(json.loads, lines)}


def sample_call(
    recorder: Recorder,
    project: TuningProject,
    model: Model,
    sample: Sample,
    *,
    key: tuple[str, str] | None = None,
    unfinished: Unfinished | None = None,
) -> Call:
    """Return the call that asks a model of a project for a sample."""
    recordings = project.recordings()
    return Call(
        sample.id,
        recordings.folder,
        recordings.cassette(model, sample),
        partial(recordings.request, model, sample),
        "",
        partial(recorder.publish, *(key or (model.suite, model.key)), sample.id),
        unfinished,
    )


def add_lane(
    recorder: Recorder,
    project: TuningProject,
    model: Model,
    endpoint: Endpoint | None = None,
    key: tuple[str, str] | None = None,
) -> Lane:
    """Add the calls of a model of a project for all of its samples."""
    calls = [sample_call(recorder, project, model, sample, key=key) for sample in project.samples()]
    return recorder.add_lane(model, model.served, endpoint or project.endpoint(), calls)


class Recording:
    """A recording of so many samples, asked of a model at the test server in this process."""

    def __init__(
        self, project: TuningProject, concurrency: int = 4, number: int = SAMPLES, budget_usd: float | None = None
    ) -> None:
        self.project = project
        self.recorder = Watched(concurrency, budget_usd)
        self.samples = [Sample(f"s{n}", f"Ann: number {n} is out", ("out",)) for n in range(number)]
        self.asked: list[tuple[Model, Sample]] = []

    def add(self, key: str = "small", base_url: str | None = None, timeout_s: float = 10.0, **changes: Any) -> Model:
        """Add a model under this key, with changes."""
        model = msgspec.structs.replace(self.project.loaded()[0].models["small"], key=key, **changes)
        calls = [sample_call(self.recorder, self.project, model, sample) for sample in self.samples]
        endpoint = self.project.endpoint(base_url)
        endpoint.timeout_s = timeout_s
        self.recorder.add_lane(model, key, endpoint, calls)
        self.asked += [(model, sample) for sample in self.samples]
        return model

    def run(self) -> "Recording":
        """Record."""
        self.recorder.run()
        return self

    def recorded(self, key: str = "small") -> set[str]:
        """The samples of a model that have a cassette."""
        recordings = self.project.recordings()
        return {sample.id for model, sample in self.asked if model.key == key and recordings.cassette(model, sample).exists()}
