"""The built-in services: the ways of each that differ from OpenAI's fine-tuning API, and the meaning of their words.

`openai` is the default and lenient: answers that differ in case, spelling or missing keys are read for every service. A
service is named for the things that its answers can't tell. Services have some fifty words for a job's state; each belongs to
a phase, by its meaning, in any case and spelling: `FAILED_VALIDATION`, `user_error` and `expired` are failures. A
word without a known meaning is `UNDOCUMENTED`: such a job is waited for as long as it lives, and shown in the service's word.
"""

import enum
import re
from collections.abc import Mapping

import msgspec

ORDER_KEYS = ("model", "training_file", "validation_file", "method", "hyperparameters", "seed", "suffix", "metadata")
"""Keys of an order that Evaltape writes; `extra` doesn't take them."""


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """The ways of a service that speaks OpenAI's fine-tuning API, or nearly."""

    top_level: bool = False
    """Hyperparameters stand at the top of the order, under `hyperparameters`, instead of within `method`."""
    renamed: Mapping[str, str] = {}
    """Hyperparameters by the suite's name that the service calls otherwise."""
    takes_suffix: bool = True
    takes_seed: bool = True
    takes_metadata: bool = True
    purpose: str = "fine-tune"
    """Of uploaded files."""
    byte_order_mark: bool = False
    """Files begin with U+FEFF."""
    fewest_rows: int = 10
    longest_tokens: int = 65_536
    """Of an example, by the service's documentation."""
    largest_bytes: int = 512 * 2**20
    """Of a file."""
    suffix_without: str = ""
    """Characters that a suffix must not hold."""
    registers: bool = False
    """The result is checkpoints; the last is registered under a name to be asked."""
    serves: bool = True
    """A tuned model can be asked at once; else `deploy` makes that so."""
    stale_listing: bool = False
    """The list lags behind; each job is asked for its true status."""
    asked_with: tuple[str, ...] = ()
    """Keys of `extra` that go with every call, in its query or form."""
    needs: tuple[str, ...] = ()
    """Keys that `extra` must have."""
    advice: str = ""
    """Advice if the service refuses an order."""


SERVICES: dict[str, Service] = {
    "openai": Service(),
    "azure": Service(
        byte_order_mark=True,
        suffix_without=".",
        serves=False,
        advice='open models need extra = { trainingType = "globalStandard" }, or Standard or developerTier',
    ),
    "nebius": Service(top_level=True, takes_metadata=False, largest_bytes=5 * 2**30, registers=True),
    "bedrock": Service(takes_suffix=False, stale_listing=True),
    "litellm": Service(
        top_level=True, takes_metadata=False, asked_with=("custom_llm_provider",), needs=("custom_llm_provider",)
    ),
    "portkey": Service(takes_metadata=False, advice="the gateway's headers belong in OPENAI_CUSTOM_HEADERS"),
}


def service_of(name: str) -> Service:
    """Return the ways of a job's service; the ways of `openai` for a class of the user's."""
    return SERVICES.get(name, SERVICES["openai"])


class Phase(enum.Enum):
    """Where a job stands, in one word for all services."""

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
