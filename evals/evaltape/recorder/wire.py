"""The processes of a session tell each other, as JSON lines, which calls have ended and how far the recording has come.

controller to recorder   Open, Begin, then perhaps Stopped
recorder to controller   Ready once it holds the folders, and once all is planned;
                         then Ended and Tally as they come, and Stopped at the end
controller to workers    Ended and Stopped

Every process keeps `Outcomes`. The recorder makes the calls; the process that runs a sample's test waits there for its end. The
controller passes outcomes on to xdist's workers, over a channel each.
"""

import contextlib
import datetime
import json
import threading
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

import msgspec

from evaltape.samples.sample import Failure
from evaltape.suite.definition import Judge, Model
from evaltape.text import counted, visible

WITHIN_DAYS = 90


class Notice(msgspec.Struct, frozen=True):
    """The API's word on a model's end."""

    served: str
    """The name that was asked for; empty for a tuned model that no job has made yet."""
    date: str | None = None
    """As the API states it."""
    problem: str | None = None
    """Why it states no date."""

    @property
    def days(self) -> int | None:
        """Days that are left, under 0 when it is past; None without a valid date."""
        try:
            return (datetime.date.fromisoformat((self.date or "")[:10]) - datetime.date.today()).days
        except ValueError:
            return None

    @property
    def is_near(self) -> bool:
        """Whether it is so near that every recording warns of it."""
        return self.days is not None and self.days <= WITHIN_DAYS

    def in_short(self) -> str:
        """Return when the model ends, in a few words."""
        if self.date is None:
            return f"not stated{f' ({visible(self.problem)})' if self.problem else ''}"
        days = self.days
        if days is None:
            return f"shuts down on {visible(self.date)[:40]}"
        when = f"in {counted(days, 'day')}" if days > 0 else "today" if days == 0 else f"{counted(-days, 'day')} ago"
        return f"shuts down on {self.date[:10]}, {when}"


def place_of(model: Model | Judge) -> str:
    """Return the name of a model among all suites' models: `chats/gpt-4o-mini`."""
    return f"{model.suite}/{model.key}"


class Spend(msgspec.Struct):
    """The cost of a session. The recorder counts it, the controller shows it."""

    usd: float = 0.0
    """By the API's own counts and the suite's prices."""
    perhaps_usd: float = 0.0
    """The sum that the API may have billed beyond that."""
    broke_off: int = 0
    """Calls and jobs that ended in doubt."""
    uncounted: int = 0
    """Answers that didn't say their cost."""

    @property
    def doubts(self) -> str:
        """Why there is a `perhaps_usd`, as in `3 calls broke off`; empty without doubt."""
        parts = [f"{counted(self.broke_off, 'call')} broke off"] if self.broke_off else []
        parts += [f"{counted(self.uncounted, 'answer')} without token counts"] if self.uncounted else []
        return ", ".join(parts)


class LaneTally(msgspec.Struct):
    """The calls to one model: how many there are, have ended (failed ones included), failed, and are in flight."""

    model: str
    total: int = 0
    done: int = 0
    failed: int = 0
    in_flight: int = 0
    tokens: int = 0
    """Of prompts and answers."""
    has_price: bool = False


class Tally(msgspec.Struct, tag=True):
    """How far a recording has come: its calls by model, its cost, and the rest to do."""

    lanes: list[LaneTally] = []
    spend: Spend = msgspec.field(default_factory=Spend)
    statuses: dict[str, str] = {}
    """The state of each fine-tuning job and batch, by `job KEY` and `batch of KEY`."""
    waits: dict[str, str] = {}
    """Why each model that isn't asked for a while is waited for, by its key."""
    notes: list[str] = []
    notices: dict[str, Notice] = {}
    """When the API retires each model, by its `place_of`."""
    stopped: str | None = None
    left: dict[str, list[str]] = {}
    """The samples that a recording which `stopped` early has not asked for, by their model's `place_of`."""

    @property
    def calls(self) -> LaneTally:
        """The calls to all models."""
        counts = ("total", "done", "failed", "in_flight", "tokens")
        return LaneTally("", *(sum(getattr(lane, count) for lane in self.lanes) for count in counts))


Selection = Sequence[tuple[str, str, Sequence[str]]]
"""The calls to record: suite, model and samples; the job of a tuned model is recorded with it."""
CallKey = tuple[str, str, str]
"""A call by its suite, model and sample; a fine-tuning job has no sample: its third part is empty."""
CallEnd = tuple[CallKey, Failure | None]
"""A call that has ended, and why it wasn't recorded; None if it was."""


def verdicts_key(model: str, judge: str) -> str:
    """Return the key in a `CallKey` for the model, where it is a judge's verdict on one of its answers that ended.

    Only errors are told: a verdict that leaves its answer unscored. The exam of a judge is told by its key, without a sample.
    """
    return f"{model}/{judge}"


class Open(msgspec.Struct, tag=True):
    """Hold the folders of the recordings of a session with these settings."""

    settings: dict[str, Any]
    """As `Settings.as_json` makes them; too large for a command line if they name many files."""


class Begin(msgspec.Struct, tag=True):
    """Record this; if it is empty, only move the samples into place that wait for no answer."""

    selection: Selection


class Ready(msgspec.Struct, tag=True):
    """The folders are held, or all is planned, and the calls begin."""


class Ended(msgspec.Struct, tag=True):
    """These calls and jobs have ended. The answers are not in it: they are read from the cassettes, as a replay would."""

    calls: list[CallEnd]


class Stopped(msgspec.Struct, tag=True):
    """No further call will be made, or, to the recorder, shall be. In place of `Ready`: it can't be done; nothing was asked."""

    reason: str


Message = Open | Begin | Ready | Ended | Stopped | Tally


def encoded(message: Message) -> str:
    """Return a message in one line of ASCII. Half a character in an API's words survives."""
    return json.dumps(msgspec.to_builtins(message))


def decoded(line: str | bytes) -> Message:
    """Return the message that `encoded` made this line of. Raises `ValueError` for another."""
    return msgspec.convert(json.loads(line), Message)  # type: ignore[no-any-return,unused-ignore]


class Pipe:
    """An end of two streams: it reads from the first and writes to the second. When either process ends, so does the pipe."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._sending = threading.Lock()
        self._listener: threading.Thread | None = None

    def send(self, message: Message) -> None:
        """Send a message; once an end is closed, nobody receives it."""
        line = encoded(message).encode() + b"\n"
        with self._sending, contextlib.suppress(OSError, ValueError):
            self._outgoing.write(line)
            self._outgoing.flush()

    def receive(self) -> Message | None:
        """Wait for the next message; return None at the end."""
        with contextlib.suppress(OSError, ValueError):
            line = self._incoming.readline()
            return decoded(line) if line.endswith(b"\n") else None
        return None

    def listen(self, receive: Callable[[Message], None], end: Callable[[], None]) -> None:
        """From now on pass every message to `receive`, in a thread of its own; call `end` at the end."""

        def receive_all() -> None:
            while (message := self.receive()) is not None:
                receive(message)
            end()

        self._listener = threading.Thread(target=receive_all, name="evaltape-pipe", daemon=True)
        self._listener.start()

    def join(self, timeout_s: float | None) -> None:
        """Wait until every message has been received."""
        if self._listener is not None:
            self._listener.join(timeout_s)


CONTROLLER_ENDED = "the controller has ended"
GRACE_S = 60.0
"""How long a recording that is stopped waits for calls in flight: they are paid for."""
Send = Callable[[Ended | Stopped], None]
"""Sends another process a message, which may be gone."""


class RecordingStopped(Exception):
    """The recording ended before this call was made; the text says why."""


class Outcomes:
    """Outcomes as they come in."""

    def __init__(self) -> None:
        self._ends: dict[CallKey, Failure | None] = {}
        self._senders: list[Send] = []
        self.stopped: str | None = None
        """Why the recording ended early, if it did."""
        self._awaited: CallKey | None = None
        self._changed = threading.Condition()

    def stop(self, reason: str) -> None:
        """Note that no further call will be made."""
        self.receive(Stopped(reason))

    def failure_of(self, call: CallKey) -> Failure | None:
        """Return why a call has ended without being recorded; None for any other."""
        with self._changed:
            return self._ends.get(call)

    def wait(self, call: CallKey) -> Failure | None:
        """Wait until a call has ended; return why it wasn't recorded. Raises `RecordingStopped`."""
        with self._changed:
            self._awaited = call
            self._changed.wait_for(lambda: call in self._ends or self.stopped is not None)
            if call not in self._ends:
                raise RecordingStopped(self.stopped)
            return self._ends[call]

    def attach(self, send: Send) -> None:
        """Send another process everything so far, and from now on."""
        with self._changed:
            self._senders.append(send)
            send(Ended(list(self._ends.items())))
            if self.stopped is not None:
                send(Stopped(self.stopped))

    def receive(self, message: Ended | Stopped) -> None:
        """Take in which calls have ended, or that the recording has, and pass it on."""
        with self._changed:
            if isinstance(message, Stopped):
                self.stopped = self.stopped or message.reason
            else:
                self._ends.update(message.calls)
            for send in self._senders:
                send(message)
            # A test is woken by its own outcome alone: waking it for each would slow down both threads.
            if self.stopped is not None or self._awaited in self._ends:
                self._changed.notify_all()
