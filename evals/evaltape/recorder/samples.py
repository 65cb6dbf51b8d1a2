"""A call for a sample's answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from evaltape.errors import RecordingError
from evaltape.names import shown
from evaltape.recording import cassettes
from evaltape.recording.cassettes import Exchange
from evaltape.recording.folder import Recordings
from evaltape.recording.redaction import HOLDS_KEY, holds_secret
from evaltape.recording.unfinished import Unfinished, cassette_name, new_text
from evaltape.samples.frozen import promote
from evaltape.samples.sample import Sample
from evaltape.suite.definition import Model


@dataclass(frozen=True)
class SampleAsk:
    """Asks a model for one sample; `repeat` counts from 2 where it is asked again to measure noise."""

    of: Sample
    model: Model
    recordings: Recordings
    secret: str
    """The key that the model is asked with; empty without a key."""
    ended: Callable[[Sample, int, str | None], None]
    """Receives the sample, which of its answers it is, and None or the error."""
    repeat: int = 1
    unfinished: Unfinished | None = None
    """The fresh recording that it is part of."""

    @property
    def sample(self) -> str:
        """The sample's id."""
        return self.of.id

    @property
    def name(self) -> str:
        """The cassette's path under the suite's folder, without suffix."""
        return f"{self.model.key}/{cassette_name(self.of, self.repeat)}"

    @property
    def place(self) -> str:
        """The cassette."""
        return shown(self.recordings.cassette(self.model, self.of, self.repeat))

    def body(self) -> dict[str, Any]:
        """Return the JSON body. Raises `RecordingError` if no recording could hold it, before it is paid for."""
        body = self.recordings.request(self.model, self.of)
        if any(holds_secret(str(turn["content"]), (self.secret,)) for turn in body["messages"]):
            raise RecordingError(f"not asked, because the prompt {HOLDS_KEY}, which no recording may")
        return body

    def keep(self, exchange: Exchange) -> None:
        """Write the cassette. Raises `RecordingError` if it must not be written, `OSError` if it can't be now."""
        text = new_text(exchange, self.unfinished, cassette_name(self.of, self.repeat))
        cassettes.write_text(self.recordings.cassette(self.model, self.of, self.repeat), text, secrets=(self.secret,))
        promote(self.recordings.folder)

    def end(self, error: str | None) -> None:
        """Pass on how it ended."""
        self.ended(self.of, self.repeat, error)
