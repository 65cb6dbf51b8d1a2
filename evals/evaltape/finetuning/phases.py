"""The class of a status: services have some fifty words for a job's state, and each of them belongs to one of six classes.

A word counts by its meaning, in any case and spelling: `FAILED_VALIDATION`, `user_error` and `expired` are failures. A word
that means nothing here is `UNDOCUMENTED`: such a job is waited for as long as it lives, and shown as the service writes it.
"""

import enum
import re


class Phase(enum.Enum):
    """Where a job stands, whatever its service calls it."""

    WAITING = "waiting"
    """Its training surely hasn't begun: cancelled now, it costs nothing."""
    TRAINING = "training"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PAUSED = "paused"
    """It goes on once somebody resumes it at the service."""
    UNDOCUMENTED = "undocumented"

    @property
    def has_ended(self) -> bool:
        """Whether it will never yield a tuned model."""
        return self in (Phase.FAILED, Phase.CANCELLED)

    @property
    def is_under_way(self) -> bool:
        """Whether it may yet yield a tuned model."""
        return not self.has_ended and self is not Phase.SUCCEEDED


_STOP = r"(?:cancel|abort|terminat|stopp|paus|delet|resum)\w*"
MEANINGS: tuple[tuple[Phase, str], ...] = (
    (Phase.WAITING, r"not_(?:running|started|yet)|unstarted"),
    # A job that is asked to stop hasn't stopped, and may still train.
    (Phase.TRAINING, rf"{_STOP}ing\b|{_STOP}_request|request\w*_cancel"),
    (Phase.SUCCEEDED, r"early_stop"),
    (Phase.FAILED, r"fail|error|invalid|expire|reject|unsuccess|incomplete|crash|timed_?out|timeout"),
    (Phase.CANCELLED, r"cancel|abort|terminat|stopped|delet|revoke"),
    (Phase.PAUSED, r"pause|suspend|on_hold|held"),
    (Phase.TRAINING, r"(?:complet|finish|succeed)ing\b"),
    (Phase.SUCCEEDED, r"succe|complete|finished|\bdone\b"),
    (Phase.WAITING, r"pending|queue|validat|creat|initiali|schedul|provision|wait|submit|\bnew\b|accepted|prepar|received"),
    (Phase.TRAINING, r"running|train|start|progress|process|compress|upload|writ|evaluat|tuning"),
    (Phase.TRAINING, r"finali|saving|export|deploy|active"),
)
"""Tried in this order: the first that is found in a status decides."""


def phase_of(status: str) -> Phase:
    """Return the class of a job's status.

    >>> phase_of("JOB_STATE_EARLY_STOPPED"), phase_of("notRunning")
    (<Phase.SUCCEEDED: 'succeeded'>, <Phase.WAITING: 'waiting'>)
    """
    words = _words(status)
    return next((phase for phase, meaning in MEANINGS if re.search(meaning, words)), Phase.UNDOCUMENTED)


class FilePhase(enum.Enum):
    """Whether a job can be ordered on a file."""

    READY = "ready"
    PROCESSING = "processing"
    FAILED = "failed"


def file_phase_of(status: str) -> FilePhase:
    """Return the class of a file's status. A file without a status is ready."""
    words = _words(status)
    if re.search(r"fail|error|invalid|delet|expire|reject|cancel", words):
        return FilePhase.FAILED
    if re.search(r"pending|processing|running|queue|import|not_|validating|uploading|progress|wait|creat", words):
        return FilePhase.PROCESSING
    return FilePhase.READY


def _words(status: str) -> str:
    """Return a status in small letters, its words parted by `_`: `notRunning` as `not_running`."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", status)
    return re.sub(r"[^a-z]+", "_", parted.lower()).strip("_")
