"""One session: the suite, its samples, recordings and outcomes, put together lazily and only as far as they are needed.

Each process of a session has one. The main process owns the recorder and all evidence; a worker hears outcomes and reads
recordings. The same `prediction` serves test and gate, in recording and in replay.
"""

import contextlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from evals.harness import rouge
from evals.harness.commands import Commands
from evals.harness.endpoint import Endpoint, endpoint_of
from evals.harness.errors import RecordingError, UserError
from evals.harness.evidence import Evidence
from evals.harness.files import remove_unfinished
from evals.harness.finetuning import Jobs
from evals.harness.job_driver import JobDriver
from evals.harness.names import shown
from evals.harness.options import RECORD, RECORD_MISSING, Settings
from evals.harness.outcomes import Outcomes
from evals.harness.prediction import Prediction
from evals.harness.recorder import Call, Recorder
from evals.harness.recordings import Recordings
from evals.harness.retirement import Notice, ask
from evals.harness.samples import Sample, preview_samples, record_samples, replay_samples
from evals.harness.scores import ModelScores, PairedScores
from evals.harness.suite import Comparison, Model, Suite, load_suite

Selected = list[tuple[Model, Sample]]


class EvalSession:
    """What the tests of one process share."""

    def __init__(self, settings: Settings, is_worker: bool) -> None:
        self.settings = settings
        self.is_worker = is_worker
        self.evidence = Evidence()
        self.outcomes = Outcomes()
        self.recorder: Recorder | None = None
        self.notices: dict[str, Notice] = {}
        self.results: dict[str, Any] | None = None
        self.runs_samples = True
        self._planned: set[tuple[str, str]] = set()
        self._lock: FileLock | None = None

    # ------------------------------------------------------------ what is evaluated

    @cached_property
    def suite(self) -> Suite:
        """The suite, read and checked."""
        return load_suite(self.settings.suite)

    @cached_property
    def samples(self) -> list[Sample]:
        """The suite's samples: frozen anew by a recording's main process, read as they are frozen by everyone else."""
        if self.settings.estimate:
            return preview_samples(self.suite, self.folder)
        if self.settings.records and not self.is_worker:
            self._lock_folder()
            try:
                return record_samples(self.suite, self.folder, fresh=self.settings.mode == RECORD)
            except OSError as error:
                raise self._unwritable(error) from None
        return replay_samples(self.suite, self.folder, self.commands.record_all())

    @cached_property
    def _by_id(self) -> dict[str, Sample]:
        return {sample.id: sample for sample in self.samples}

    def sample(self, sample_id: str) -> Sample:
        """The sample of an id."""
        return self._by_id[sample_id]

    @property
    def folder(self) -> Path:
        """The suite's recordings."""
        return self.settings.cassettes / self.suite.name

    @property
    def snapshots(self) -> Path:
        """The accepted scores of the suite's models."""
        return self.settings.snapshots / self.suite.name

    @cached_property
    def commands(self) -> Commands:
        """Writes the commands that messages end with."""
        chosen = self.settings
        return Commands(chosen.suite, chosen.default_suite, chosen.cassettes, chosen.default_cassettes)

    @cached_property
    def jobs(self) -> Jobs:
        """The suite's fine-tuning jobs and their tuned models."""
        return Jobs(self.suite, self.folder, lambda: self.samples, self.commands)

    @cached_property
    def recordings(self) -> Recordings:
        """The suite's recorded predictions."""
        return Recordings(self.folder, self.suite, self.jobs.served, self.commands.record_sample)

    # ------------------------------------------------------------ what tests ask for

    def prediction(self, model: Model, sample: Sample) -> Prediction:
        """A model's prediction for a sample; where it is being recorded, once its call has ended.

        Raises `Stopped` where the recording ended before.
        """
        known = self.evidence.predictions.get((model.key, sample.id))
        if known is not None:
            return known
        error = None
        if self.settings.records and (self.is_worker or (model.key, sample.id) in self._planned):
            error = self.outcomes.wait_sample(model.key, sample.id)
        found = self.recordings.prediction(model, sample) if error is None else self._not_recorded(model, sample, error)
        self.evidence.add(found)
        return found

    def lead(self, sample: Sample) -> Mapping[str, float]:
        """The scores of the first lines of a sample's input: computed, not recorded."""
        known = self.evidence.leads
        if sample.id not in known:
            score = rouge.scorer(self.suite.metrics, self.suite.stemmer)
            known[sample.id] = score(sample.reference, rouge.lead(sample.input))
        return known[sample.id]

    def scores(self, model: Model) -> ModelScores:
        """The scores of a model on every sample of the suite."""
        return ModelScores(model, self.suite.metrics, [self.prediction(model, sample) for sample in self.samples])

    def paired_scores(self, comparison: Comparison) -> PairedScores:
        """The scores of a comparison's two models on every sample of the suite."""
        models = (self.suite.models[comparison.baseline], self.suite.models[comparison.candidate])
        return PairedScores(comparison, self.suite.metrics, *map(self.scores, models))

    def _not_recorded(self, model: Model, sample: Sample, error: str) -> Prediction:
        again = self.commands.record_all(model.kind, missing=True)
        # A job that failed names what it takes itself: asking for what is missing would meet the same job.
        more = "" if self.commands.retrain() in error else f". Not recorded; what is missing: {again}"
        return Prediction(model.key, sample.id, failure=error + more)

    # ------------------------------------------------------------ recording, in the main process

    def start_recording(self, selected: Selected) -> None:
        """Call the API for the selected samples, in the background. Raises `UserError` where that can't begin."""
        chosen = self.settings
        self.recorder = Recorder(self.recordings, self.outcomes, chosen.concurrency, chosen.timeout_s, chosen.budget_usd)
        self._planned = {(model.key, sample.id) for model, sample in selected}
        models = [model for model in self.suite.models.values() if any(model is asked for asked, _ in selected)]
        self._check_budget(models)
        endpoints = {model.key: endpoint_of(model, chosen.timeout_s) for model in models}
        for model in models:
            samples = [sample for asked, sample in selected if asked is model]
            if model.job is None:
                self._add_lane(model, endpoints[model.key], samples)
            else:
                self._add_job(model, endpoints[model.key], samples)
        self.recorder.start()

    def _check_budget(self, models: list[Model]) -> None:
        """A budget bounds only what has a price."""
        assert self.recorder is not None
        free = [model.key for model in models if model.price is None]
        if self.settings.budget_usd is None or not free:
            return
        if len(free) == len(models):
            raise UserError(
                f"--budget {self.settings.budget_usd:g} bounds nothing: {shown(self.suite.file)} states no price of "
                f"{', '.join(free)}, as in price = {{ input = 0.15, output = 0.60 }} (USD per million tokens)"
            )
        self.recorder.notes.append(f"The budget does not bound {', '.join(free)}: the suite states no price.")

    def finish_recording(self, reason: str | None = None) -> None:
        """Wait for the recording's end, or, given a `reason`, stop it first: only calls in flight are waited for."""
        if self.recorder is not None:
            if reason:
                self.recorder.stop(reason)
            self.recorder.join()
        if self._lock is not None:
            # While it is held: whoever waits for a file that is gone gets no lock on it.
            with contextlib.suppress(OSError):
                Path(self._lock.lock_file).unlink()
            self._lock.release()
            self._lock = None

    def _add_lane(self, model: Model, endpoint: Endpoint, samples: list[Sample]) -> None:
        assert self.recorder is not None
        calls = [Call(sample, repeat) for sample, repeat in self.calls_of(model, samples)]
        missing = {call.sample.id for call in calls if call.repeat == 1}
        for sample in samples:
            if sample.id not in missing:
                self.outcomes.sample(model.key, sample.id, None)
        if self.settings.mode == RECORD:
            self._remove_orphans(model)
        self.recorder.add_lane(model, endpoint, calls)
        if calls:
            self.recorder.add_job(lambda recorder: self._ask_end(model, endpoint))

    async def _ask_end(self, model: Model, endpoint: Endpoint) -> None:
        self.notices[model.key] = await ask(endpoint, self.jobs.served(model))

    def calls_of(self, model: Model, samples: list[Sample]) -> list[tuple[Sample, int]]:
        """The calls of a recording, as (sample, repeat): all of them, or what has no valid recording."""
        calls = [(sample, repeat) for repeat in range(1, self.settings.repeat + 1) for sample in samples]
        if self.settings.mode != RECORD_MISSING:
            return calls
        return [(sample, repeat) for sample, repeat in calls if not self.is_recorded(model, sample, repeat)]

    def _add_job(self, model: Model, endpoint: Endpoint, samples: list[Sample]) -> None:
        """Drive a model's job, then ask the tuned model; at once where only what is missing is asked and it isn't."""
        assert self.recorder is not None
        assert model.job is not None
        if self.settings.mode != RECORD and self.jobs.is_recorded(model.job):
            self._add_lane(model, endpoint, samples)
            return
        job, prepared = model.job, self.jobs.prepare(model.job)
        self.recorder.notes += [f"{job.key}: {note}" for note in prepared.training.notes()]

        async def drive(recorder: Recorder) -> None:
            error = await JobDriver(prepared, endpoint, recorder, self.settings.retrain).drive()
            self.jobs.forget(job)
            if error is None:
                self._add_lane(model, endpoint, samples)
                return
            for sample in samples:
                self.outcomes.sample(model.key, sample.id, error)

        self.recorder.add_job(drive)

    def is_recorded(self, model: Model, sample: Sample, repeat: int = 1) -> bool:
        """Whether there is a valid recording of a model's answer."""
        try:
            self.recordings.valid_prediction(model, sample, repeat)
        except RecordingError:
            return False
        return True

    def _remove_orphans(self, model: Model) -> None:
        for path in self.recordings.orphans(self.samples, model.key):
            path.unlink()

    def _lock_folder(self) -> None:
        self._refuse_links()
        lock = FileLock(self.folder / ".recording.lock")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
            remove_unfinished(self.folder)
        except Timeout:
            raise UserError(
                f"{shown(self.folder)}: another session is recording this suite. Wait for its end, or give this one "
                "another folder with --cassettes"
            ) from None
        except OSError as error:
            raise self._unwritable(error) from None
        self._lock = lock

    def _refuse_links(self) -> None:
        """A recording replaces and removes files, so it may not be led elsewhere by a link that came with a repository."""
        inside = self.settings.cassettes.resolve()
        for folder in (self.folder, *(self.folder / key for key in self.suite.models)):
            if not folder.resolve().is_relative_to(inside):
                raise UserError(
                    f"{shown(folder)} leads out of {shown(self.settings.cassettes)}, to {folder.resolve()}. Recordings are "
                    "written only inside it: remove the link, or name another folder with --cassettes"
                )

    def _unwritable(self, error: OSError) -> UserError:
        why = error.strerror or error
        return UserError(f"{shown(self.folder)}: recordings can't be written here: {why}. Name another folder with --cassettes")
