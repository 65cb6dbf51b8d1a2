"""A sample, and a model's answer to it: a text, or the failure that stands in its place.

The same `Answer` is read from a cassette or a file of predictions, travels from a worker to the controller, is scored, and
is shown in reports.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from evaltape.names import file_name
from evaltape.suite.prompt import as_text


class Sample(msgspec.Struct, frozen=True):
    """An input with its references.

    >>> Sample("13829853", "Ann: hi\\nBob: hello", ("Ann greets Bob.",), {"topic": "small talk"})
    """

    id: str
    """Unique in its suite."""
    input: str
    """The text that models are asked about."""
    references: tuple[str, ...]
    """The texts that answers are compared with; never empty."""
    columns: Mapping[str, Any] = {}
    """The further columns of its row that the suite names: values as JSON has them."""

    @property
    def name(self) -> str:
        """The id as it stands in file names and test ids."""
        return file_name(self.id)

    def slice_of(self, column: str) -> str | None:
        """Return the name of the slice it belongs to by a column; None if its row has no value there."""
        value = self.columns[column]
        return None if value is None else as_text(value).strip() or None


Kind = Literal[
    "not recorded",
    "recorded otherwise",
    "not fetched",
    "unreadable",
    "refused",
    "filtered",
    "empty",
    "job",
    "call",
    "holds a key",
    "no prediction",
    "no match",
]
"""Why a sample has no answer.

`not recorded`: there is no cassette. `recorded otherwise`: the cassette is of another call. `not fetched`: Git LFS keeps the
cassette elsewhere. `unreadable`: the cassette is damaged. `refused`, `filtered`, `empty`: the API answered, without a text.
`job`: the fine-tuning job yields no tuned model. `call`: the call failed in this session. `holds a key`: the
prompt or the answer does, so no recording may hold it. `no prediction`: the file of
predictions lacks the sample. `no match`: a step of `[answer]` finds nothing in the recorded text.
"""
REMEDIES = {"not fetched": "Fetch it", "call": "Not recorded. Record the rest"}
"""The words before a failure's command; `Record it` for all other kinds."""


class Failure(msgspec.Struct, frozen=True):
    """Why a sample has no answer. As text it is a line that ends with the command that helps.

    >>> str(Failure("not recorded", "there is no such recording", "t1.yaml", "pytest --record-missing"))
    't1.yaml: there is no such recording. Record it: pytest --record-missing'
    """

    kind: Kind
    """Such as `not recorded`, `recorded otherwise`, `refused`, `empty`, `call`."""
    reason: str
    """The problem, without the place and the command."""
    place: str = ""
    """The file, or the line of a file, that it is about."""
    command: str | None = None
    """The remedy, to be pasted into a shell."""
    cost: str = ""
    """The cost of the command and the free way, to follow the command; empty for a command that calls nothing."""
    cause: str = ""
    """The part of the reason that samples share, as `the model refused`; empty if they share all of it."""
    remedy: str = ""
    """The words before the command, if its kind has other words."""

    @property
    def in_short(self) -> str:
        """The place and the reason, without the command."""
        return f"{self.place}: {self.reason}" if self.place else self.reason

    def __str__(self) -> str:
        if self.command is None:
            return self.in_short
        return f"{self.in_short}. {self.remedy or REMEDIES.get(self.kind, 'Record it')}: {self.command}{self.cost}"


class Usage(msgspec.Struct, frozen=True):
    """The tokens of a call, or of several, as the API counted them; 0 where it doesn't say."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class Answer(msgspec.Struct, frozen=True):
    """A model's answer to a sample, or the failure in its place."""

    text: str = ""
    """The text that is scored; may be empty beside a failure."""
    failure: Failure | None = None
    """Why the sample has no answer; None for an answered sample."""
    truncated: bool = False
    """Whether the text was cut at the length limit."""
    served: str = ""
    """The model that the API says it served."""
    usage: Usage = Usage()
    """The API's counts."""
    latency_s: float | None = None
    """Seconds from sending the request to the whole answer; None if the recording doesn't say."""
    cost_usd: float | None = None
    """The price of the recorded call, in USD; None if the recording or the suite doesn't say."""
    recorded: str | None = None
    """The day of the call, as `2026-11-24`; None if the recording doesn't say."""
    came: str = ""
    """How it came: `batch`, `answers-from`, or empty for a live call."""
    raw: str = ""
    """The whole recorded text, where `[answer]` takes a part of it; empty if that is the text."""
