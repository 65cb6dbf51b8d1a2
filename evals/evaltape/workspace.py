"""What is on disk for one suite: the suite itself, its samples, its recordings and its fine-tuning jobs.

Everything is loaded on first use. A workspace knows nothing of the run that looks at it: every process of a session has
workspaces of its own, and reads the same from them.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path

from evaltape.errors import RecordingError, UserError
from evaltape.finetuning.jobs import Jobs
from evaltape.names import shown
from evaltape.recording.folder import Recordings
from evaltape.recording.lock import unwritable
from evaltape.samples.samples import Sample, preview_samples, record_samples, replay_samples
from evaltape.scoring import rouge
from evaltape.settings import RECORD, RECORD_MISSING, Settings
from evaltape.suite.commands import Commands
from evaltape.suite.reader import Model, Suite, load_suite


class Workspace:
    """One suite with all that lies on disk for it.

    `is_recorder` says that the samples to read are the staged ones of the recording that this process makes;
    `freezes` that this process is the one that freezes them, calling `before_freezing` first.
    """

    def __init__(
        self,
        suite: Suite,
        settings: Settings,
        *,
        is_recorder: bool = False,
        freezes: bool = False,
        before_freezing: Callable[[], None] = lambda: None,
    ) -> None:
        self.suite = suite
        self.settings = settings
        self.is_recorder = is_recorder
        self._freezes = freezes
        self._before_freezing = before_freezing

    def __repr__(self) -> str:
        return f"<workspace of {self.suite.name}>"

    @property
    def name(self) -> str:
        """The suite's name."""
        return self.suite.name

    @property
    def folder(self) -> Path:
        """The suite's recordings."""
        return self.settings.cassettes / self.suite.name

    @cached_property
    def commands(self) -> Commands:
        """Writes the commands that messages end with."""
        asked = self.settings
        default = self.suite.file if self.suite.file in asked.configured_suites else Path()
        return Commands(self.suite.file, default, asked.cassettes, asked.default_cassettes)

    # ------------------------------------------------------------ samples

    @cached_property
    def samples(self) -> list[Sample]:
        """The suite's samples: frozen by a recording's controller, read as they are frozen by everyone else."""
        if self.settings.previews:
            return preview_samples(self.suite, self.folder)
        if not self._freezes:
            return replay_samples(self.suite, self.folder, self.commands.record_all())
        self._before_freezing()
        try:
            return record_samples(self.suite, self.folder, fresh=self.settings.mode == RECORD)
        except OSError as error:
            raise unwritable(self.folder, error) from None

    @property
    def selected_samples(self) -> list[Sample]:
        """The samples that this session runs tests on: all, or the first of them with `--samples`."""
        return self.samples[: self.settings.samples]

    @cached_property
    def _by_id(self) -> dict[str, Sample]:
        return {sample.id: sample for sample in self.samples}

    def sample(self, sample_id: str) -> Sample:
        """Return the sample of an id."""
        return self._by_id[sample_id]

    # ------------------------------------------------------------ recordings

    @cached_property
    def jobs(self) -> Jobs:
        """The suite's fine-tuning jobs and their tuned models."""
        return Jobs(self.suite, self.folder, lambda: self.samples, self.commands)

    @cached_property
    def recordings(self) -> Recordings:
        """The suite's recorded answers."""
        return Recordings(self.folder, self.suite, self.jobs.served, self.commands.record_sample)

    def is_recorded(self, model: Model, sample: Sample, repeat: int = 1) -> bool:
        """Return whether there is a valid recording of a model's answer."""
        try:
            self.recordings.valid_prediction(model, sample, repeat)
        except RecordingError:
            return False
        return True

    def calls_of(self, model: Model, samples: Iterable[Sample]) -> list[tuple[Sample, int]]:
        """Return the calls of a recording, as (sample, repeat): all of them, or what has no valid recording."""
        chosen = list(samples)
        calls = [(sample, repeat) for repeat in range(1, self.settings.repeat + 1) for sample in chosen]
        if self.settings.mode != RECORD_MISSING:
            return calls
        return [(sample, repeat) for sample, repeat in calls if not self.is_recorded(model, sample, repeat)]

    def lead(self, sample: Sample) -> Mapping[str, float]:
        """Return the scores of the first lines of a sample's input: computed, not recorded."""
        score = rouge.scorer(self.suite.metrics, self.suite.stemmer)
        return score(sample.reference, rouge.lead(sample.input))


def read_suites(files: Iterable[Path]) -> list[Suite]:
    """Read the suites of one session. Raises `UserError`, also for two of one name: they would share recordings."""
    suites: dict[str, Suite] = {}
    for file in files:
        suite = load_suite(file)
        other = suites.setdefault(suite.name.lower(), suite)
        if other is not suite:
            raise UserError(
                f"{shown(other.file)} and {shown(file)} are both suites named {suite.name}: their recordings and test ids "
                "would be the same. Rename one"
            )
    return list(suites.values())
