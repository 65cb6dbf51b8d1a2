"""One session: the suite, its samples, recordings and outcomes, put together lazily and only as far as they are needed.

Each process of a session has one: the main process, which has all evidence and starts the recorder, xdist's workers, which
hear outcomes and read recordings, and the recorder's. The same `prediction` serves test and gate, in recording and in replay.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaltape.errors import RecordingError
from evaltape.evidence import Evidence
from evaltape.finetuning.jobs import Jobs
from evaltape.options import RECORD, RECORD_MISSING, Settings
from evaltape.recorder.outcomes import Outcomes
from evaltape.recording.folder import Recordings
from evaltape.samples.samples import Sample, preview_samples, record_samples, replay_samples
from evaltape.scoring import rouge
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.scores import ModelScores, PairedScores
from evaltape.suite.commands import Commands
from evaltape.suite.reader import Comparison, Model, Suite, load_suite

if TYPE_CHECKING:
    from evaltape.recorder.process import RecorderProcess

Selected = list[tuple[Model, Sample]]


class EvalSession:
    """What the tests of one process share."""

    def __init__(self, settings: Settings, is_main: bool) -> None:
        self.settings = settings
        self.is_main = is_main
        self.evidence = Evidence()
        self.outcomes = Outcomes()
        self.recorder: RecorderProcess | None = None
        self._standing_by: RecorderProcess | None = None
        self.results: dict[str, Any] | None = None
        self.runs_samples = True
        self._recorded_now: set[tuple[str, str]] = set()

    # ------------------------------------------------------------ what is evaluated

    @cached_property
    def suite(self) -> Suite:
        """The suite, read and checked."""
        return load_suite(self.settings.suite)

    @cached_property
    def samples(self) -> list[Sample]:
        """The suite's samples: frozen anew by a recording's main process, read as they are frozen by everyone else."""
        if self.settings.previews:
            return preview_samples(self.suite, self.folder)
        if self.settings.records and self.is_main:
            return self._record_samples()
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
        suite = None if chosen.suite == chosen.default_suite else chosen.suite
        return Commands(["evals"], suite, None if chosen.cassettes == chosen.default_cassettes else chosen.cassettes)

    @cached_property
    def jobs(self) -> Jobs:
        """The suite's fine-tuning jobs and their tuned models."""
        return Jobs(self.suite, self.folder, lambda: self.samples, self.commands)

    @cached_property
    def recordings(self) -> Recordings:
        """The suite's recorded predictions."""
        return Recordings(self.folder, self.suite, self.jobs.served, lambda model: self.commands.record_missing(model.kind))

    # ------------------------------------------------------------ what tests ask for

    def prediction(self, model: Model, sample: Sample) -> Prediction:
        """A model's prediction for a sample; where it is being recorded, once its call has ended.

        Raises `Stopped` where the recording ended before.
        """
        known = self.evidence.predictions.get((model.key, sample.id))
        if known is not None:
            return known
        error = None
        if self.settings.records and (not self.is_main or (model.key, sample.id) in self._recorded_now):
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

    def _record_samples(self) -> list[Sample]:
        """Start the recorder, which holds the suite's folder from then on, and freeze the samples in it."""
        from evaltape.recorder.process import RecorderProcess
        from evaltape.recording.lock import unwritable

        self._standing_by = RecorderProcess(self.settings, self.outcomes)
        try:
            return record_samples(self.suite, self.folder, fresh=self.settings.mode == RECORD)
        except OSError as error:
            raise unwritable(self.folder, error) from None

    def begin_recording(self, selected: Selected) -> None:
        """Let the recorder call the API for the selected samples, if there are any."""
        if self._standing_by is None or not selected:
            return
        self._recorded_now = {(model.key, sample.id) for model, sample in selected}
        by_model: dict[str, list[str]] = {}
        for model, sample in selected:
            by_model.setdefault(model.key, []).append(sample.id)
        self.recorder = self._standing_by
        self.recorder.begin(by_model)

    def finish_recording(self, reason: str | None = None) -> None:
        """Wait for the recording's end, or, given a `reason`, stop it first: only calls in flight are waited for."""
        if self._standing_by is not None:
            if reason or self.recorder is None:
                self._standing_by.stop(reason or "nothing is selected")
            self._standing_by.join()

    # ------------------------------------------------------------ what is recorded

    def calls_of(self, model: Model, samples: list[Sample]) -> list[tuple[Sample, int]]:
        """The calls of a recording, as (sample, repeat): all of them, or what has no valid recording."""
        return self.recordings.calls(model, samples, self.settings.repeat, fresh=self.settings.mode != RECORD_MISSING)

    def is_recorded(self, model: Model, sample: Sample, repeat: int = 1) -> bool:
        """Whether there is a valid recording of a model's answer."""
        try:
            self.recordings.valid_prediction(model, sample, repeat)
        except RecordingError:
            return False
        return True
