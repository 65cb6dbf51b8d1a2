"""Plans a recording: the lanes of calls and the fine-tuning jobs that the selected tests need."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from functools import partial

import msgspec

from evaltape.errors import NotFetched, RecordingError, UserError
from evaltape.files import FETCH
from evaltape.finetuning.jobs import PreparedJob
from evaltape.names import shown
from evaltape.recorder.api.client import Endpoint, endpoint_of
from evaltape.recorder.api.shutdown_dates import ask
from evaltape.recorder.batches.host import refuse_without_batches
from evaltape.recorder.lane import Call, failure_of
from evaltape.recorder.loop import Recorder
from evaltape.recorder.tuning.driver import Drives
from evaltape.recorder.tuning.states import Drive, Served
from evaltape.recorder.tuning.waiting import undeploy
from evaltape.recorder.verdicts import Bench, VerdictsPlan
from evaltape.recorder.wire import Selection, place_of
from evaltape.recording import cassettes
from evaltape.recording.folder import unwritable
from evaltape.recording.redaction import HOLDS_KEY, holds_secret
from evaltape.recording.unfinished import Unfinished, read_unfinished
from evaltape.samples.sample import Failure, Sample
from evaltape.settings import RECORD, Settings
from evaltape.suite.cost import LIMITS, answer_limit
from evaltape.suite.definition import Finetune, Model
from evaltape.suite.endpoint import is_local
from evaltape.text import counted, listed
from evaltape.workspace import Workspace


class Planner:
    """Adds the calls and jobs of a session's suites to a recorder."""

    def __init__(self, settings: Settings, workspaces: Mapping[str, Workspace], recorder: Recorder) -> None:
        self.settings = settings
        self.workspaces = workspaces
        self.recorder = recorder
        self.drives = Drives()
        self._endpoints: dict[tuple[str, str], Endpoint] = {}
        self._batches_at: list[Endpoint] = []
        """Where there surely are batches."""
        self._benches: dict[str, Bench] = {}

    def plan(self, selection: Selection) -> None:
        """Plan the calls of the selected samples. Raises `UserError` if they can't begin; nothing is asked or written then."""
        plans = [self._plan(self.workspaces[suite], key, samples) for suite, key, samples in selection]
        try:
            for plan in plans:
                plan.check()
            for plan in plans if self.settings.requests_to is None else ():
                plan.begin()
        except RecordingError as error:
            raise UserError(str(error)) from None
        for plan in plans:
            plan.add()

    def _plan(self, workspace: Workspace, key: str, samples: Sequence[str]) -> "ModelPlan | VerdictsPlan":
        suite, bench = workspace.suite, self._benches.setdefault(workspace.name, Bench(self, workspace))
        if key in suite.models:
            return ModelPlan(self, bench, suite.models[key], [workspace.samples_by_id[it] for it in samples])
        model, _, judge = key.rpartition("/")
        return VerdictsPlan(bench, key, suite.judges[judge], suite.models.get(model))

    def check_asked(self, workspace: Workspace, model: Model, table: str) -> None:
        """Raise `UserError` if a model can't be asked, or not within the budget; `table` is where the suite says how."""
        if not self.settings.answers_from:
            self._refuse_submitted(workspace, model)
        if not self.settings.asks_api:
            return
        place, endpoint = f"{shown(workspace.suite.file)}: [{table}]", self.endpoint(model)
        if holds_secret(json.dumps(model.request), (endpoint.key,)):
            raise UserError(f"{place} request {HOLDS_KEY}, and recordings hold the request")
        endpoint.open()
        if self.settings.batch and endpoint not in self._batches_at:
            self._batches_at.append(endpoint)
            asyncio.run(refuse_without_batches(model, Endpoint(endpoint.base_url, endpoint.key, endpoint.timeout_s)))
        if self.settings.budget_usd is not None and not (is_local(endpoint.base_url) and model.price is None):
            self._check_budget(place, model)

    def _refuse_submitted(self, workspace: Workspace, model: Model) -> None:
        """Refuse calls that are submitted as a batch, and would be paid twice; `--batch` collects it."""
        submissions = workspace.submissions
        submitted = submissions.of(model.key)
        if submitted and not self.settings.batch:
            names = listed([one.id or "an order without an answer" for one in submitted])
            calls = counted(sum(one.calls for one in submitted), "call")
            raise UserError(
                f"{shown(submissions.path)}: {names} with {calls} to {model.key} is submitted and not collected; asked again "
                f"they would be paid twice. To give them up, cancel them at the API and delete the file. Collect them, "
                f"which pays for none of them again: {workspace.commands.record_missing()} --batch"
            )

    def _check_budget(self, place: str, model: Model) -> None:
        """Refuse a budget that would bound nothing."""
        budget, price = f"so --budget {self.settings.budget_usd:g} can't bound what it costs", model.price
        if price is None:
            example = f"price = {{ {'training = 3.00, ' if model.job else ''}input = 0.15, output = 0.60 }}"
            raise UserError(f"{place} price is missing, {budget}; it takes USD per million tokens, as in {example}")
        if price.output > 0 and answer_limit(model.request) is None:
            advice = f"set {LIMITS[0]} (or {LIMITS[1]}) there or under [request]"
            raise UserError(f"{place} request sets no bound on the length of an answer, {budget}; {advice}")

    def unfinished(self, workspace: Workspace, key: str, calls: Sequence[tuple[Sample, int]]) -> Unfinished | None:
        """Begin a fresh recording in the folder `key`, or read the rest of an unfinished recording; None for neither."""
        folder, begun = workspace.folder, None
        try:
            if self.settings.mode != RECORD:
                begun = read_unfinished(folder, key)
            elif calls:
                begun = Unfinished.begin(folder, key, calls, workspace.samples)
        except OSError as error:
            raise unwritable(folder / key, error) from None
        if begun is not None:
            self.recorder.begun.append((begun, workspace.samples))
        return begun

    def endpoint(self, model: Model) -> Endpoint:
        """Return the endpoint a model is asked at: the same for the same address and key. Raises `UserError`."""
        endpoint = endpoint_of(model, self.settings.timeout_s, is_asked=self.settings.asks_api)
        return self._endpoints.setdefault((endpoint.base_url, endpoint.key), endpoint)


class ModelPlan:
    """The calls, or the job and the calls, that record a model."""

    def __init__(self, planner: Planner, bench: Bench, model: Model, samples: list[Sample]) -> None:
        self.planner = planner
        self.settings = planner.settings
        self.recorder = planner.recorder
        self.workspace = bench.workspace
        self.bench = bench
        self.model = model
        self.samples = samples
        self.unfinished: Unfinished | None = None
        self.prepared: PreparedJob | None = None
        """The job that comes before the calls."""
        self.calls: list[tuple[Sample, int]] = []
        """The calls of a model without such a job."""

    def check(self) -> None:
        """Raise `RecordingError` or `UserError` for anything that can't be recorded, or not within the budget."""
        self._refuse_unfetched_job()
        job = self.model.job
        if job is not None and self._drives(job):
            self.prepared = msgspec.structs.replace(self.workspace.jobs.prepare(job.key), root=self.settings.root)
            self.recorder.tally.notes += [f"{job.key}: {note}" for note in self.prepared.training.notes()]
        else:
            self.calls = self._calls()
        asks = bool(self.calls or self.prepared)
        self.bench.check(self.model, self.samples, asks_all=asks)
        if asks:  # Without a call no key is needed.
            self.planner.check_asked(self.workspace, self.model, self.model.place)

    def _calls(self) -> list[tuple[Sample, int]]:
        return [] if self.model.predictions is not None else self.workspace.calls_of(self.model, self.samples)

    def _refuse_unfetched_job(self) -> None:
        """Refuse to look for, and perhaps pay for, a job when Git LFS keeps its recording elsewhere."""
        if self.model.job is None or self.settings.mode == RECORD:
            return
        try:
            cassettes.read(self.workspace.jobs.cassette(self.model.job.key))
        except NotFetched as error:
            raise UserError(f"{error}. Fetch it first: {FETCH}") from None
        except RecordingError:
            pass

    def _drives(self, job: Finetune) -> bool:
        if not self.settings.asks_api:
            return False
        jobs = self.workspace.jobs
        if self.settings.mode == RECORD or not jobs.is_recorded(job.key) or jobs.has_open_order(job.key):
            return True
        return jobs.job(job.key).is_undeployed and bool(self._calls())

    def begin(self) -> None:
        """Note on disk that a fresh recording begins, or read the rest of an unfinished recording."""
        if self.model.predictions is None:
            calls = (self.calls or self._calls()) if self.samples else []
            self.unfinished = self.planner.unfinished(self.workspace, self.model.key, calls)
        self.bench.begin(self.model, self.samples)

    def add(self) -> None:
        """Add the model's calls; a tuned model's once its job has ended, unless the job is recorded."""
        if self.prepared is not None:
            self._add_job(self.prepared)
        else:
            if self.model.job is not None:
                served = self._served()  # Where the API is asked, each of its calls will say why it can't be.
                self._publish("", served if isinstance(served, Failure) and not self.settings.asks_api else None)
            self._add_lane(self.calls)

    def _add_lane(self, sample_calls: list[tuple[Sample, int]]) -> None:
        self._end_recorded(sample_calls)
        if sample_calls:
            recordings, endpoint, served = self.workspace.recordings, self._asked_at(), self._served()
            calls = [
                Call(
                    sample.id,
                    recordings.folder,
                    recordings.cassette(self.model, sample, repeat),
                    partial(recordings.request, self.model, sample),
                    endpoint.key,
                    partial(self._ended, sample, repeat),
                    self.unfinished,
                )
                for sample, repeat in sample_calls
            ]
            self.recorder.add_lane(self.model, served if isinstance(served, str) else "", endpoint, calls)
            if self.settings.asks_api:
                self.recorder.add_work(self._ask_end, is_job=False)

    def _served(self) -> str | Failure:
        """Return the name that the API knows the model by, or why a tuned model can't be asked."""
        try:
            return self.workspace.jobs.served(self.model)
        except RecordingError as error:
            return failure_of(error)

    def _ended(self, sample: Sample, repeat: int, failure: Failure | None) -> None:
        """Publish how a call ended, once its answer is judged, too; no test waits for a further answer to a sample."""

        def publish() -> None:
            if repeat == 1:
                self._publish(sample.id, failure)

        if failure is None:
            self.bench.judge(self.model, sample, repeat, publish)
        else:
            publish()

    def _end_recorded(self, calls: list[tuple[Sample, int]]) -> None:
        """Publish the samples that need no call, once their answers are judged, too."""
        asked = {(sample.id, repeat) for sample, repeat in calls}
        for repeat in range(1, self.settings.repeat + 1 if self.model.predictions is None else 2):
            for sample in self.samples:
                if (sample.id, repeat) not in asked:
                    self._ended(sample, repeat, None)

    def _asked_at(self) -> Endpoint:
        """Return where the calls go: for a tuned model that is deployed elsewhere, there."""
        model, job = self.model, self.model.job
        base_url = self.workspace.jobs.job(job.key).base_url if job and self.settings.asks_api else None
        return self.planner.endpoint(msgspec.structs.replace(model, base_url=base_url) if base_url else model)

    async def _ask_end(self) -> None:
        served = self.workspace.jobs.served(self.model)
        self.recorder.tally.notices[place_of(self.model)] = await ask(self._asked_at(), served)

    def _add_job(self, prepared: PreparedJob) -> None:
        key, tally = prepared.job.key, self.recorder.tally

        drive = Drive(
            prepared=prepared,
            endpoint=self.planner.endpoint(self.model),
            budget=self.recorder.budget,
            tell=tally.notes.append,
            tell_state=lambda text: tally.statuses.update({f"job {key}": text}),
            retrain=self.settings.retrain,
            may_replace=len(self.samples) in (0, len(self.workspace.samples)),
        )

        async def run() -> None:
            result = await self.planner.drives.drive(drive)
            if result.served is not None and result.served.undeploy is not None:
                self.recorder.at_end.append(partial(self._undeploy, key, result.served))
            self.workspace.jobs.forget(key)
            self._publish("", result.failure)
            if result.failure is None:
                self._add_lane(self._calls())
                return
            for sample in self.samples:
                self._publish(sample.id, result.failure)

        self.recorder.add_work(run, is_job=True)

    async def _undeploy(self, key: str, served: Served) -> None:
        problem = await undeploy(served)
        self.recorder.tally.notes.append(f"{key}: {problem or f'{served.name} is undeployed'}")

    def _publish(self, sample: str, failure: Failure | None) -> None:
        self.recorder.publish(self.model.suite, self.model.key, sample, failure)
