"""Plans a recording: the lanes of calls and the fine-tuning jobs that the selected tests need."""

from collections.abc import Mapping
from dataclasses import asdict

from evaltape.errors import UserError
from evaltape.names import shown
from evaltape.recorder.client import Endpoint, endpoint_of
from evaltape.recorder.job_driver import JobDriver
from evaltape.recorder.loop import Call, Recorder
from evaltape.recorder.outcomes import Selection
from evaltape.recorder.shutdown_dates import ask
from evaltape.samples.sample import Sample
from evaltape.settings import RECORD, Settings
from evaltape.suite.definition import Model
from evaltape.workspace import Workspace


class Planner:
    """Adds to a recorder what one session asks for."""

    def __init__(self, settings: Settings, workspaces: Mapping[str, Workspace], recorder: Recorder) -> None:
        self.settings = settings
        self.workspaces = workspaces
        self.recorder = recorder

    def plan(self, selection: Selection) -> None:
        """Plan the calls and jobs of a selection. Raises `UserError` if that can't begin."""
        models = [(self.workspaces[suite], self.workspaces[suite].suite.models[key], ids) for suite, key, ids in selection]
        self._check_budget([model for _, model, _ in models])
        endpoints = {(model.suite, model.key): endpoint_of(model, self.settings.timeout_s) for _, model, _ in models}
        for workspace, model, ids in models:
            samples = [workspace.sample(sample) for sample in ids]
            endpoint = endpoints[model.suite, model.key]
            if model.job is None:
                self._add_lane(workspace, model, endpoint, samples)
            else:
                self._add_job(workspace, model, endpoint, samples)

    def _check_budget(self, models: list[Model]) -> None:
        """A budget bounds only what has a price."""
        free = [model.key for model in models if model.price is None]
        if self.settings.budget_usd is None or not free:
            return
        if len(free) == len(models):
            file = self.workspaces[models[0].suite].suite.file
            raise UserError(
                f"--budget {self.settings.budget_usd:g} bounds nothing: {shown(file)} states no price of "
                f"{', '.join(free)}, as in price = {{ input = 0.15, output = 0.60 }} (USD per million tokens)"
            )
        self.recorder.tally.notes.append(f"The budget does not bound {', '.join(free)}: the suite states no price.")

    def _add_lane(self, workspace: Workspace, model: Model, endpoint: Endpoint, samples: list[Sample]) -> None:
        calls = [Call(sample, repeat) for sample, repeat in workspace.calls_of(model, samples)]
        missing = {call.sample.id for call in calls if call.repeat == 1}
        done = [(model.suite, model.key, sample.id, None) for sample in samples if sample.id not in missing]
        self.recorder.outcomes.end(done)
        if self.settings.mode == RECORD:
            for path in workspace.recordings.orphans(workspace.samples, model.key):
                path.unlink()
        self.recorder.add_lane(workspace.recordings, model, endpoint, calls)
        if calls:
            self.recorder.add_job(lambda recorder: self._ask_end(workspace, model, endpoint))

    async def _ask_end(self, workspace: Workspace, model: Model, endpoint: Endpoint) -> None:
        self.recorder.tally.notices[model.key] = asdict(await ask(endpoint, workspace.jobs.served(model)))

    def _add_job(self, workspace: Workspace, model: Model, endpoint: Endpoint, samples: list[Sample]) -> None:
        """Drive a model's job, then ask the tuned model; at once where only what is missing is asked and it isn't."""
        assert model.job is not None
        if self.settings.mode != RECORD and workspace.jobs.is_recorded(model.job):
            self.recorder.outcomes.end([(model.suite, model.key, "", None)])
            self._add_lane(workspace, model, endpoint, samples)
            return
        job = model.job
        prepared = workspace.jobs.prepare(job)
        self.recorder.tally.notes += [f"{job.key}: {note}" for note in prepared.training.notes()]

        async def drive(recorder: Recorder) -> None:
            error = await JobDriver(prepared, endpoint, recorder, self.settings.retrain).drive()
            workspace.jobs.forget(job)
            recorder.outcomes.end([(model.suite, model.key, "", error)])
            if error is None:
                self._add_lane(workspace, model, endpoint, samples)
            else:
                recorder.outcomes.end((model.suite, model.key, sample.id, error) for sample in samples)

        self.recorder.add_job(drive)
