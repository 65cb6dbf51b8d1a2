"""A suite's fine-tuning jobs: checked before anything is paid for, driven once, replayed from `job.yaml`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from evaltape.errors import RecordingError, UserError
from evaltape.finetuning.identity import Identity, recipe_of, settings_difference, settings_of
from evaltape.finetuning.intent import NAME, Intents, UnreadableIntent
from evaltape.finetuning.recorded_job import CASSETTE, Job, Recorded, read_job, read_recorded
from evaltape.finetuning.training_file import TrainingFile, build_training_file, build_validation_file
from evaltape.names import shown
from evaltape.samples import dataset as source
from evaltape.samples.sample import Sample
from evaltape.suite.commands import Commands
from evaltape.suite.definition import Finetune, Model, Suite
from evaltape.suite.pricing import most_epochs, training_tokens


class JobFailed(RecordingError):
    """A job of this session yields no tuned model; the text is the API's reason, with what to do next."""


@dataclass(frozen=True)
class PreparedJob:
    """A job ready to be driven."""

    job: Finetune
    training: TrainingFile
    validation: TrainingFile | None
    identity: Identity
    cassette: Path
    how_to_go_on: str = "--record-missing"
    """The command that goes on with a job."""
    how_to_retrain: str = "--record --retrain"
    """The command that pays for another job."""

    @property
    def most_tokens(self) -> int:
        """An upper bound of the trained tokens: no tokeniser yields more tokens than UTF-8 bytes."""
        epochs = most_epochs(self.job.hyperparameters.get("n_epochs"), self.training.rows)
        return training_tokens(self.training.text) * epochs

    @property
    def intents(self) -> Intents:
        """The orders on disk beside its recording."""
        return Intents(self.cassette.with_name(NAME))

    def recorded(self) -> Recorded:
        """Read what is recorded of it now."""
        return read_recorded(self.cassette, self.identity)


class Jobs:
    """The jobs of one suite by key, each read and checked once."""

    def __init__(self, suite: Suite, folder: Path, samples: Callable[[], list[Sample]], commands: Commands) -> None:
        self.suite = suite
        self.folder = folder
        self._samples = samples
        self._commands = commands
        self._read: dict[str, Job | RecordingError] = {}

    def job(self, key: str) -> Job:
        """Return the job under `[finetune.KEY]` once its recording is checked against the suite.

        Raises `JobFailed` with the API's reason if it was driven in this session and yields no tuned model, else
        `RecordingError` if there is no valid recording.
        """
        if key not in self._read:
            try:
                self._read[key] = self._checked(self._finetune(key), read_job(self.cassette(key)))
            except RecordingError as error:
                self._read[key] = RecordingError(str(error), command=self._commands.record_all("finetuned"))
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
        """Return whether another job was ordered in place of the one that is recorded, and isn't recorded yet."""
        job = self.job(key)
        try:
            intent = Intents(self.cassette(key).with_name(NAME)).read(job.identity.digest)
        except UnreadableIntent:
            return True
        return intent is not None and intent.job != job.id

    def known(self) -> dict[str, Job]:
        """Return the jobs that this process has read."""
        return {key: job for key, job in self._read.items() if isinstance(job, Job)}

    def forget(self, key: str) -> None:
        """Read a job again when it is next asked for: it has just been recorded."""
        self._read.pop(key, None)

    def fail(self, key: str, reason: str) -> None:
        """Let `job` raise `JobFailed` with this reason from now on."""
        self._read[key] = JobFailed(reason)

    def cassette(self, key: str) -> Path:
        """Return the file of a job's recording."""
        return self.folder / key / CASSETTE

    def prepare(self, key: str) -> PreparedJob:
        """Build a job's files and check them. Raises `UserError`."""
        job = self._finetune(key)
        training = build_training_file(self.suite, job, self._samples())
        return PreparedJob(
            job=job,
            training=training,
            validation=build_validation_file(self.suite, job),
            identity=Identity(training.sha256, settings_of(job), self._recipe(job), self._source(job)),
            cassette=self.cassette(key),
            how_to_go_on=self._commands.record_all("finetuned", missing=True),
            how_to_retrain=self._commands.retrain(),
        )

    def _finetune(self, key: str) -> Finetune:
        job = self.suite.models[key].job
        assert job is not None, f"[models.{key}] is no fine-tuning job"
        return job

    # ------------------------------------------------------------ checking a recording

    def _checked(self, job: Finetune, recorded: Job) -> Job:
        path, known = shown(self.cassette(job.key)), recorded.identity
        if known.settings != settings_of(job):
            raise RecordingError(f"{path}: recorded with {settings_difference(known.settings, settings_of(job))}")
        same_recipe, at_hand = known.recipe == self._recipe(job), self._source(job)
        files = zip(at_hand.split("+"), known.source.split("+"), strict=False)
        if same_recipe and all(now in ("", then) for now, then in files):
            return recorded
        changed = "the split's rows" if same_recipe else "the prompt, the selection or the samples"
        if at_hand:
            self._compare_files(job, recorded, changed)
            return recorded
        raise RecordingError(f"{path}: the recording is of other training data: {changed} changed since")

    def _compare_files(self, job: Finetune, recorded: Job, changed: str) -> None:
        """Build the training file again: only the file itself shows whether what `changed` matters."""
        path = shown(self.cassette(job.key))
        try:
            now = build_training_file(self.suite, job, self._samples()).sha256
        except UserError as error:
            raise RecordingError(f"{path}: the training data can't be checked against the recording: {error}") from None
        if now != recorded.identity.training:
            raise RecordingError(
                f"{path}: the recording is of other training data: {changed} changed since (its training file has "
                f"sha256 {recorded.identity.training[:12]}, the suite makes {now[:12]})"
            )

    def _recipe(self, job: Finetune) -> str:
        return recipe_of(self.suite, job, sorted(sample.input for sample in self._samples()))

    def _source(self, job: Finetune) -> str:
        """Return the digests of the local files that decide a training file; empty if the train split is not at hand."""
        splits = [job.train, *([job.validation] if job.validation else [])]
        files = [source.split_file(self.suite.dataset, self.suite.file, split.name) for split in splits]
        digests = [source.digest(file) if file is not None and file.is_file() else "" for file in files]
        return "+".join(digests) if digests[0] else ""
