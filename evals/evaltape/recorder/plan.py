"""Plans a recording: the lanes of calls and the fine-tuning jobs that the selected tests need."""

import contextlib
import json
from collections.abc import Mapping
from functools import cached_property, partial

import msgspec

from evaltape.errors import NotFetched, RecordingError, UserError
from evaltape.files import FETCH
from evaltape.finetuning.jobs import PreparedJob
from evaltape.names import shown
from evaltape.recorder.api.client import Endpoint, endpoint_of
from evaltape.recorder.api.shutdown_dates import ask
from evaltape.recorder.loop import Recorder
from evaltape.recorder.samples import SampleAsk
from evaltape.recorder.tally import place_of
from evaltape.recorder.tuning.drive import Assignment
from evaltape.recorder.tuning.driver import Drives
from evaltape.recorder.tuning.hosts import Served, undeploy
from evaltape.recorder.wire import Selection
from evaltape.recording import cassettes
from evaltape.recording.lock import unwritable
from evaltape.recording.redaction import HOLDS_KEY, holds_secret
from evaltape.recording.unfinished import Unfinished, read_unfinished
from evaltape.samples.sample import Sample
from evaltape.settings import RECORD, Settings
from evaltape.suite.address import is_local
from evaltape.suite.definition import Model
from evaltape.suite.pricing import LIMITS, answer_limit
from evaltape.workspace import Workspace


class Planner:
    """Adds to a recorder what a session's suites ask for."""

    def __init__(self, settings: Settings, workspaces: Mapping[str, Workspace], recorder: Recorder) -> None:
        self.settings = settings
        self.workspaces = workspaces
        self.recorder = recorder
        self.drives = Drives()
        self._endpoints: dict[tuple[str, str], Endpoint] = {}

    def plan(self, selection: Selection) -> None:
        """Plan the calls of the selected samples. Raises `UserError` if they can't begin; nothing is asked or written then."""
        selected = [(self.workspaces[suite], model, samples) for suite, model, samples in selection]
        plans = [
            ModelPlan(self, workspace, workspace.suite.models[model], [workspace.sample(sample) for sample in samples])
            for workspace, model, samples in selected
        ]
        for plan in plans:
            plan.check()
        for plan in plans:
            plan.begin()
        for plan in plans:
            plan.add()

    def endpoint(self, model: Model) -> Endpoint:
        """Return the endpoint a model is asked at, one for each address and key. Raises `UserError`."""
        endpoint = endpoint_of(model, self.settings.timeout_s)
        return self._endpoints.setdefault((endpoint.base_url, endpoint.key), endpoint)


class ModelPlan:
    """What is to be recorded of one model."""

    def __init__(self, planner: Planner, workspace: Workspace, model: Model, samples: list[Sample]) -> None:
        self.planner = planner
        self.settings = planner.settings
        self.recorder = planner.recorder
        self.workspace = workspace
        self.model = model
        self.samples = samples
        self.unfinished: Unfinished | None = None
        self.prepared: PreparedJob | None = None
        """The job that comes before the calls."""
        self.calls: list[tuple[Sample, int]] = []
        """Those of a model without such a job."""

    # ------------------------------------------------------------ before anything is asked or written

    def check(self) -> None:
        """Raise `UserError` for what can't be recorded, or not within the budget."""
        self._refuse_unfetched_job()
        if self._drives_job():
            self._prepare_job()
        else:
            self.calls = self._calls()
        if not self.calls and self.prepared is None:
            return  # Without a call no key is needed.
        if holds_secret(json.dumps(self.model.request), (self.endpoint.key,)):
            raise self._error("request", f"{HOLDS_KEY}, and recordings hold the request")
        self.endpoint.open()
        if self.settings.budget_usd is not None and not self._is_free():
            self._check_budget()

    @cached_property
    def endpoint(self) -> Endpoint:
        """Where the model is asked. Raises `UserError` if its address or its key can't be used."""
        return self.planner.endpoint(self.model)

    def _calls(self) -> list[tuple[Sample, int]]:
        try:
            return self.workspace.calls_of(self.model, self.samples)
        except RecordingError as error:
            raise UserError(str(error)) from None

    def _refuse_unfetched_job(self) -> None:
        """Refuse to look for, and perhaps pay for, a job whose recording is only not on this machine."""
        if self.model.job is None or self.settings.mode == RECORD:
            return
        try:
            cassettes.read(self.workspace.jobs.cassette(self.model.job.key))
        except NotFetched as error:
            raise UserError(f"{error}. Fetch it first: {FETCH}") from None
        except RecordingError:
            pass

    def _is_free(self) -> bool:
        return is_local(self.endpoint.base_url) and self.model.price is None

    def _drives_job(self) -> bool:
        job = self.model.job
        if job is None:
            return False
        jobs = self.workspace.jobs
        if self.settings.mode == RECORD or not jobs.is_recorded(job.key) or jobs.has_open_order(job.key):
            return True
        return jobs.job(job.key).is_undeployed and bool(self._calls())

    def _prepare_job(self) -> None:
        job = self.model.job
        assert job is not None
        self.prepared = msgspec.structs.replace(self.workspace.jobs.prepare(job.key), root=self.settings.root)
        self.recorder.tally.notes += [f"{job.key}: {note}" for note in self.prepared.training.notes()]

    def _check_budget(self) -> None:
        """Refuse a budget that would bound nothing."""
        budget, price = f"so --budget {self.settings.budget_usd:g} can't bound what it costs", self.model.price
        if price is None:
            training = "training = 3.00, " if self.model.job else ""
            example = f"price = {{ {training}input = 0.15, output = 0.60 }}"
            raise self._error("price", f"is missing, {budget}; it takes USD per million tokens, as in {example}")
        if price.output > 0 and answer_limit(self.model.request) is None:
            advice = f"set {LIMITS[0]} (or {LIMITS[1]}) there or under [request]"
            raise self._error("request", f"sets no bound on the length of an answer, {budget}; {advice}")

    def _error(self, key: str, problem: str) -> UserError:
        table = "finetune" if self.model.job else "models"
        return UserError(f"{shown(self.workspace.suite.file)}: [{table}.{self.model.key}] {key} {problem}")

    # ------------------------------------------------------------ before anything is asked

    def begin(self) -> None:
        """Note on disk that a fresh recording begins, or read what one that was cut short has left to do."""
        folder, model = self.workspace.folder, self.model.key
        try:
            if self.settings.mode != RECORD:
                self.unfinished = read_unfinished(folder, model)
            elif self.samples:
                self.unfinished = Unfinished.begin(folder, model, self.calls or self._calls(), self.workspace.samples)
        except RecordingError as error:
            raise UserError(str(error)) from None
        except OSError as error:
            raise unwritable(folder / model, error) from None
        if self.unfinished is not None:
            self.recorder.add_unfinished(self.unfinished, self.workspace.samples)

    # ------------------------------------------------------------ what is asked

    def add(self) -> None:
        """Add the model's calls; those of a tuned model once its job has ended, unless that is recorded."""
        if self.prepared is not None:
            self._add_job(self.prepared)
        else:
            if self.model.job is not None:
                self._end_job(None)
            self._add_lane(self.calls)

    def _add_lane(self, sample_calls: list[tuple[Sample, int]]) -> None:
        missing = {sample.id for sample, repeat in sample_calls if repeat == 1}
        self._end([sample for sample in self.samples if sample.id not in missing], None)
        if sample_calls:
            asks = [self._ask(sample, repeat) for sample, repeat in sample_calls]
            self.recorder.add_lane(self.model, self._asked_by(), self._asked_at(), asks)
            self.recorder.add_question(lambda recorder: self._ask_end())

    def _asked_by(self) -> str:
        with contextlib.suppress(RecordingError):  # Each of its calls will say so.
            return self.workspace.jobs.served(self.model)
        return ""

    def _ask(self, sample: Sample, repeat: int) -> SampleAsk:
        publish = partial(self.recorder.publish, self._key)
        recordings, key = self.workspace.recordings, self._asked_at().key
        return SampleAsk(sample, self.model, recordings, key, publish, repeat, self.unfinished)

    def _asked_at(self) -> Endpoint:
        """Return where the calls go: for a tuned model that is deployed elsewhere, there."""
        base_url = self.workspace.jobs.job(self.model.job.key).base_url if self.model.job else None
        return self.planner.endpoint(msgspec.structs.replace(self.model, base_url=base_url)) if base_url else self.endpoint

    async def _ask_end(self) -> None:
        served = self.workspace.jobs.served(self.model)
        self.recorder.tally.notices[place_of(self.model)] = await ask(self._asked_at(), served)

    def _add_job(self, prepared: PreparedJob) -> None:
        async def drive(recorder: Recorder) -> None:
            key = prepared.job.key
            assignment = Assignment(
                prepared=prepared,
                endpoint=self.endpoint,
                budget=recorder.budget,
                note=recorder.tally.notes.append,
                show=lambda text: recorder.show_job(key, text),
                retrain=self.settings.retrain,
                may_replace=len(self.samples) in (0, len(self.workspace.samples)),
            )
            result = await self.planner.drives.drive(assignment)
            if result.served is not None and result.served.undeploy is not None:
                self._undeploy_at_end(key, result.served)
            self.workspace.jobs.forget(key)
            self._end_job(result.error)
            if result.error is None:
                self._add_lane(self._calls())
            else:
                self._end(self.samples, result.error)

        self.recorder.add_job(drive)

    def _undeploy_at_end(self, key: str, served: Served) -> None:
        async def end() -> None:
            problem = await undeploy(served)
            self.recorder.tally.notes.append(f"{key}: {problem or f'{served.name} is undeployed'}")

        self.recorder.at_end.append(end)

    @property
    def _key(self) -> tuple[str, str]:
        return (self.model.suite, self.model.key)

    def _end(self, samples: list[Sample], error: str | None) -> None:
        self.recorder.outcomes.end((*self._key, sample.id, error) for sample in samples)

    def _end_job(self, error: str | None) -> None:
        self.recorder.outcomes.end([(*self._key, "", error)])
