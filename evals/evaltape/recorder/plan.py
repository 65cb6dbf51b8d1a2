"""Plans a recording: the lanes of calls and the fine-tuning jobs that the selected tests need."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from evaltape.errors import FewerSamples, UserError
from evaltape.names import shown
from evaltape.options import RECORD
from evaltape.recorder.client import Endpoint, endpoint_of
from evaltape.recorder.jobs.drive import Assignment
from evaltape.recorder.jobs.driver import JobDriver
from evaltape.recorder.jobs.money import RecorderMoney
from evaltape.recorder.loop import Call, Recorder
from evaltape.recorder.shutdown_dates import ask
from evaltape.samples.samples import Sample
from evaltape.session import EvalSession
from evaltape.suite.reader import Model


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
        """Drive a model's job, then ask the tuned model; at once if only what is missing is asked and the job isn't."""
        assert model.job is not None
        key, jobs = model.job.key, self.session.jobs
        if self.settings.mode != RECORD and jobs.is_recorded(key) and not jobs.has_open_order(key):
            self._add_lane(model, endpoint, samples)
            return
        with warnings.catch_warnings(record=True, action="ignore") as caught:
            warnings.simplefilter("always", FewerSamples)
            prepared = jobs.prepare(key)
        notes = [*prepared.training.notes(), *(str(warning.message) for warning in caught)]
        self.recorder.tally.notes += [f"{key}: {note}" for note in notes]
        is_whole = len(samples) == len(self.session.samples)

        async def drive(recorder: Recorder) -> None:
            assignment = Assignment(
                prepared=prepared,
                endpoint=endpoint,
                money=RecorderMoney(recorder),
                note=recorder.tally.notes.append,
                show=lambda text: recorder.show_job(key, text),
                retrain=self.settings.retrain,
                may_replace=is_whole,
            )
            result = await JobDriver(assignment).drive()
            jobs.forget(key)
            if result.error is None:
                self._add_lane(model, endpoint, samples)
            else:
                recorder.outcomes.end((model.key, sample.id, result.error) for sample in samples)

        self.recorder.add_job(drive)
