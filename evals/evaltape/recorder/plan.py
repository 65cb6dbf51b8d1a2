"""Plans a recording: the lanes of calls and the fine-tuning jobs that the selected tests need."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from evaltape.errors import UserError
from evaltape.names import shown
from evaltape.options import RECORD
from evaltape.recorder.client import Endpoint, endpoint_of
from evaltape.recorder.job_driver import JobDriver
from evaltape.recorder.loop import Call, Recorder
from evaltape.recorder.shutdown_dates import ask
from evaltape.samples.sample import Sample
from evaltape.session import EvalSession
from evaltape.suite.definition import Model


class Planner:
    """Adds to a recorder what one session asks for."""

    def __init__(self, session: EvalSession, recorder: Recorder) -> None:
        self.session = session
        self.settings = session.settings
        self.recorder = recorder

    def plan(self, selected: Mapping[str, Sequence[str]]) -> None:
        """Plan the calls of the selected samples, by model. Raises `UserError` where that can't begin."""
        models = [self.session.suite.models[key] for key in selected]
        self._check_budget(models)
        endpoints = {model.key: endpoint_of(model, self.settings.timeout_s) for model in models}
        for model in models:
            samples = [self.session.sample(sample) for sample in selected[model.key]]
            if model.job is None:
                self._add_lane(model, endpoints[model.key], samples)
            else:
                self._add_job(model, endpoints[model.key], samples)

    def _check_budget(self, models: list[Model]) -> None:
        """A budget bounds only what has a price."""
        free = [model.key for model in models if model.price is None]
        if self.settings.budget_usd is None or not free:
            return
        if len(free) == len(models):
            raise UserError(
                f"--budget {self.settings.budget_usd:g} bounds nothing: {shown(self.session.suite.file)} states no price of "
                f"{', '.join(free)}, as in price = {{ input = 0.15, output = 0.60 }} (USD per million tokens)"
            )
        self.recorder.tally.notes.append(f"The budget does not bound {', '.join(free)}: the suite states no price.")

    def _add_lane(self, model: Model, endpoint: Endpoint, samples: list[Sample]) -> None:
        calls = [Call(sample, repeat) for sample, repeat in self.session.calls_of(model, samples)]
        missing = {call.sample.id for call in calls if call.repeat == 1}
        self.recorder.outcomes.end((model.key, sample.id, None) for sample in samples if sample.id not in missing)
        if self.settings.mode == RECORD:
            for path in self.session.recordings.orphans(self.session.samples, model.key):
                path.unlink()
        self.recorder.add_lane(model, endpoint, calls)
        if calls:
            self.recorder.add_job(lambda recorder: self._ask_end(model, endpoint))

    async def _ask_end(self, model: Model, endpoint: Endpoint) -> None:
        self.recorder.tally.notices[model.key] = asdict(await ask(endpoint, self.session.jobs.served(model)))

    def _add_job(self, model: Model, endpoint: Endpoint, samples: list[Sample]) -> None:
        """Drive a model's job, then ask the tuned model; at once where only what is missing is asked and it isn't."""
        assert model.job is not None
        if self.settings.mode != RECORD and self.session.jobs.is_recorded(model.job):
            self._add_lane(model, endpoint, samples)
            return
        job = model.job
        prepared = self.session.jobs.prepare(job)
        self.recorder.tally.notes += [f"{job.key}: {note}" for note in prepared.training.notes()]

        async def drive(recorder: Recorder) -> None:
            error = await JobDriver(prepared, endpoint, recorder, self.settings.retrain).drive()
            self.session.jobs.forget(job)
            if error is None:
                self._add_lane(model, endpoint, samples)
            else:
                recorder.outcomes.end((model.key, sample.id, error) for sample in samples)

        self.recorder.add_job(drive)
