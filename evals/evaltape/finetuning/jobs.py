"""A suite's fine-tuning jobs: checked before anything is paid for, driven once, replayed from `job.yaml`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from evaltape.errors import RecordingError, UserError
from evaltape.finetuning.recorded_job import CASSETTE, Identity, Job, read_job, recipe_of, settings_difference, settings_of
from evaltape.finetuning.training_file import TrainingFile, build_training_file, build_validation_file
from evaltape.names import shown
from evaltape.samples import dataset as source
from evaltape.samples.sample import Sample
from evaltape.suite.commands import Commands
from evaltape.suite.definition import Finetune, Model, Suite

MOST_AUTO_EPOCHS = 3
"""What a service chooses, as a rule, where the suite leaves the number of epochs to it."""


@dataclass(frozen=True)
class Prepared:
    """A job ready to be driven: its files, its identity, and where it will be recorded."""

    job: Finetune
    training: TrainingFile
    validation: TrainingFile | None
    identity: Identity
    cassette: Path
    how_to_retrain: str = "--record --retrain"

    @property
    def most_tokens(self) -> int:
        """An upper bound of the trained tokens: no tokeniser yields more tokens than UTF-8 bytes."""
        epochs = self.job.hyperparameters.get("n_epochs")
        return len(self.training.content) * (epochs if isinstance(epochs, int) else MOST_AUTO_EPOCHS)


class Jobs:
    """The jobs of one suite by key, each read and checked once."""

    def __init__(self, suite: Suite, folder: Path, samples: Callable[[], list[Sample]], commands: Commands) -> None:
        self.suite = suite
        self.folder = folder
        self._samples = samples
        self._record, self._retrain = commands.record_all("finetuned"), commands.retrain()
        self._read: dict[str, Job | RecordingError] = {}

    def served(self, model: Model) -> str:
        """The name a model is asked by. Raises `RecordingError` for a tuned model without a valid job."""
        return self.job(model.job).tuned_model if model.job else model.served

    def job(self, job: Finetune) -> Job:
        """A recorded job, once it is sure that it is the one the suite asks for. Raises `RecordingError`."""
        if job.key not in self._read:
            try:
                self._read[job.key] = self._checked(job, read_job(self.cassette(job)))
            except RecordingError as error:
                self._read[job.key] = RecordingError(str(error), command=self._record)
        found = self._read[job.key]
        if isinstance(found, RecordingError):
            raise found
        return found

    def is_recorded(self, job: Finetune) -> bool:
        """Whether there is a valid recording of a job."""
        try:
            self.job(job)
        except RecordingError:
            return False
        return True

    def known(self) -> dict[str, Job]:
        """The jobs that this session has read."""
        return {key: job for key, job in self._read.items() if isinstance(job, Job)}

    def forget(self, job: Finetune) -> None:
        """Read a job anew: it has just been recorded."""
        self._read.pop(job.key, None)

    def cassette(self, job: Finetune) -> Path:
        """The file of a job's recording."""
        return self.folder / job.key / CASSETTE

    def prepare(self, job: Finetune) -> Prepared:
        """Make a job's files and check them. Raises `UserError`."""
        training = build_training_file(self.suite, job, self._samples())
        identity = Identity(training.sha256, settings_of(job), self._recipe(job), self._source(job))
        validation = build_validation_file(self.suite, job)
        return Prepared(job, training, validation, identity, self.cassette(job), self._retrain)

    def _checked(self, job: Finetune, recorded: Job) -> Job:
        path, known = shown(self.cassette(job)), recorded.identity
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
        """Make the training file anew: only the file itself can tell whether what `changed` matters."""
        path = shown(self.cassette(job))
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
        """The digests of the local files that decide a training file; empty where the train split is not at hand."""
        splits = [job.train, *([job.validation] if job.validation else [])]
        files = [source.split_file(self.suite.dataset, self.suite.file, split.name) for split in splits]
        digests = [source.digest(file) if file is not None and file.is_file() else "" for file in files]
        return "+".join(digests) if digests[0] else ""
