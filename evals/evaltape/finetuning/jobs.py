"""A suite's fine-tuning jobs: checked before anything is paid for, driven once, replayed from `job.yaml`."""

import hashlib
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from evaltape.errors import RecordingError, UserError
from evaltape.finetuning import recorded_job
from evaltape.finetuning.intent import NAME, Intents, UnreadableIntent
from evaltape.finetuning.recorded_job import Identity, Job, Recorded, read_origin
from evaltape.finetuning.services import ORDER_KEYS, service_of
from evaltape.finetuning.training_file import TrainingFile, build_training_file, build_validation_file
from evaltape.names import shown
from evaltape.samples import dataset as source
from evaltape.samples.sample import Sample
from evaltape.suite.commands import Advice, Commands
from evaltape.suite.cost import most_epochs, training_tokens
from evaltape.suite.definition import Finetune, Model, Split, Suite


class PreparedJob(msgspec.Struct, frozen=True):
    """A job ready to be driven."""

    job: Finetune
    training: TrainingFile
    validation: TrainingFile | None
    identity: Identity
    cassette: Path
    how_to_go_on: str
    """The command that goes on with a job."""
    how_to_retrain: Advice
    """The command that pays for another job."""
    root: Path = Path()
    """Where the user's own modules are found: pytest's rootdir."""

    def most_tokens(self, epochs: float | None = None) -> int:
        """Return an upper bound of the trained tokens, in so many epochs or the most that the suite or a service chooses.

        No tokeniser yields more tokens than UTF-8 bytes.
        """
        epochs = epochs or epochs_of(self.job.hyperparameters) or most_epochs("auto", self.training.rows)
        return math.ceil(training_tokens(self.training.text) * epochs)

    @property
    def intents(self) -> Intents:
        """The orders on disk beside its recording."""
        return Intents(self.cassette.with_name(NAME))

    def recorded(self) -> Recorded:
        """Read its recording, and compare the recorded job with this one."""
        if not self.cassette.exists():
            return Recorded()
        try:
            known = recorded_job.read_job(self.cassette)
        except RecordingError as error:
            return Recorded(problem=str(error))
        then, now = known.identity, self.identity
        if then.digest == now.digest:
            return Recorded(known)
        other_settings = recorded_job.settings_difference(then.settings, now.settings)
        return Recorded(mismatch=f"{shown(self.cassette)} was recorded with {other_settings or 'other training data'}")

    def of_others(self) -> set[str]:
        """Return the jobs that are known to be of other data, base or settings. Raises `UnreadableIntent`."""
        digest, folders = self.identity.digest, self.cassette.parents
        origins = map(read_origin, folders[2].glob(f"*/*/{recorded_job.ORIGIN}") if len(folders) > 2 else ())
        recorded = {origin[1] for origin in origins if origin is not None and origin[0].digest != digest}
        return recorded | self.intents.of_others(digest)


def epochs_of(hyperparameters: Mapping[str, Any]) -> float | None:
    """Return a number of epochs that is stated; None for `auto`, which some services write as -1."""
    epochs = hyperparameters.get("n_epochs")
    return epochs if isinstance(epochs, int | float) and not isinstance(epochs, bool) and 0 < epochs < 1e6 else None


class Jobs:
    """The jobs of a suite by key, each read and checked once."""

    def __init__(self, suite: Suite, folder: Path, samples: Callable[[], list[Sample]], commands: Commands) -> None:
        self.suite = suite
        self.folder = folder
        self._samples = samples
        self._commands = commands
        self._read: dict[str, Job | RecordingError] = {}

    def job(self, key: str) -> Job:
        """Return the job under `[finetune.KEY]` once its recording is checked against the suite.

        Raises `RecordingError` if there is no valid recording.
        """
        if key not in self._read:
            try:
                self._read[key] = self._checked(self._finetune(key), recorded_job.read_job(self.cassette(key)))
            except RecordingError as error:
                advice = self._paid(self._commands.record_all("finetuned"))
                self._read[key] = RecordingError(str(error), advice.command, advice.cost)
        job = self._read[key]
        if isinstance(job, RecordingError):
            raise job
        return job

    def served(self, model: Model) -> str:
        """Return the name a model is asked by. Raises as `job` does for a tuned model."""
        return self.job(model.job.key).tuned_model if model.job else model.served

    def is_recorded(self, key: str) -> bool:
        """Return whether there is a valid recording of a job."""
        try:
            self.job(key)
        except RecordingError:
            return False
        return True

    def has_open_order(self, key: str) -> bool:
        """Return whether another job was ordered in place of the recorded job, and isn't recorded yet."""
        job = self.job(key)
        try:
            intent = Intents(self.cassette(key).with_name(NAME)).read(job.identity.digest)
        except UnreadableIntent:
            return True
        return intent is not None and intent.job != job.id

    def forget(self, key: str) -> None:
        """Read a job again when it is next asked for: it has just been recorded."""
        self._read.pop(key, None)

    def cassette(self, key: str) -> Path:
        """Return the file of a job's recording."""
        return self.folder / key / recorded_job.CASSETTE

    def prepare(self, key: str) -> PreparedJob:
        """Build a job's files and check them and its order. Raises `UserError`."""
        job = self._finetune(key)
        check_order(self.suite, job)
        training = self._training_file(job)
        return PreparedJob(
            job=job,
            training=training,
            validation=build_validation_file(self.suite, job),
            identity=Identity(training.sha256, recorded_job.settings_of(job), self._recipe(job), self._source(job)),
            cassette=self.cassette(key),
            how_to_go_on=self._commands.record_all("finetuned", missing=True),
            how_to_retrain=self._paid(self._commands.retrain()),
        )

    def _paid(self, command: str) -> Advice:
        """Return a command with its cost: every job of the suite, and the calls to its tuned models."""
        tuned = [model for model in self.suite.models.values() if model.job]
        return Advice(command, len(tuned) * len(self._samples()), jobs=len(tuned))

    def _finetune(self, key: str) -> Finetune:
        job = self.suite.models[key].job
        assert job is not None, f"[models.{key}] is no fine-tuning job"
        return job

    def _checked(self, job: Finetune, recorded: Job) -> Job:
        path, known = shown(self.cassette(job.key)), recorded.identity
        settings = recorded_job.settings_of(job)
        if known.settings != settings:
            raise RecordingError(f"{path}: recorded with {recorded_job.settings_difference(known.settings, settings)}")
        same_recipe, at_hand = known.recipe == self._recipe(job), self._source(job)
        files = zip(at_hand.split("+"), known.source.split("+"), strict=False)
        if same_recipe and all(now in ("", then) for now, then in files):
            return recorded
        changed = "the split's rows" if same_recipe else "the prompt, the selection or the samples"
        problem = f"{path}: the recording is of other training data: {changed} changed since"
        if not at_hand:
            raise RecordingError(problem)
        try:  # Only the file itself shows whether the change matters.
            now = self._training_file(job).sha256
        except UserError as error:
            raise RecordingError(f"{path}: the training data can't be checked against the recording: {error}") from None
        if now != known.training:
            raise RecordingError(f"{problem} (its training file has sha256 {known.training[:12]}, the suite makes {now[:12]})")
        return recorded

    def _training_file(self, job: Finetune) -> TrainingFile:
        return build_training_file(self.suite, job, self._samples(), self.folder.parent)

    def _recipe(self, job: Finetune) -> str:
        return recorded_job.recipe_of(self.suite, job, sorted(sample.input for sample in self._samples()))

    def _source(self, job: Finetune) -> str:
        """Return the digests of the local files that decide a training file; empty if the rows to train on are not at hand."""
        splits: list[Split] = [] if job.train.recorded else [job.train]
        splits += [job.validation] if job.validation else []
        files = [source.split_file(self.suite, split.split) for split in splits]
        digests = [source.digest(file) if file is not None and file.is_file() else "" for file in files]
        if job.train.recorded:
            suite, model = job.train.recorded.split("/")
            digests.insert(0, _digest_of(self.folder.parent / suite, model))
        return "+".join(digests) if digests[0] else ""


def _digest_of(folder: Path, model: str) -> str:
    """Return the SHA-256 of a model's recorded answers and of their samples; empty without recorded answers."""
    files = [folder / "samples.jsonl", folder / f"{model}.yaml", *sorted((folder / model).glob("*.yaml"))]
    digests = [f"{file.name} {source.digest(file)}" for file in files if file.is_file()]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest() if len(digests) > 1 else ""


def check_order(suite: Suite, job: Finetune) -> None:
    """Raise `UserError` for keys that the order of a job can't hold at its service."""
    place, service = f"{shown(suite.file)}: [finetune.{job.key}]", service_of(job.service)
    ours = [key for key in job.extra if key in ORDER_KEYS]
    if ours:
        raise UserError(f"{place} extra.{ours[0]}: Evaltape writes {ours[0]} itself; extra takes further keys of the order")
    for key in service.needs:
        if key not in job.extra:
            raise UserError(f'{place} service = {job.service!r} needs {key} in extra, as in extra = {{ {key} = "..." }}')
    if job.suffix and any(sign in job.suffix for sign in service.suffix_without):
        raise UserError(f"{place} suffix = {job.suffix!r}: {job.service} takes none with {service.suffix_without!r} in it")
