"""The process of the recorder, seen from both sides.

A process of its own for three reasons: its imports are done while the main process loads the samples, its calls and the
tests that score their answers don't take turns on one interpreter lock, and a main process that is killed doesn't take
answers along that are paid for. The two speak over a pipe:

    main      {"begin": {model: [sample, ...]}}, then perhaps {"stopped": reason}
    recorder  {"ready": ...} once it holds the folder, {"begun": ...} once all is planned, or {"mistake": text} in place of
              either; then what became of each call (see outcomes.py) and now and then {"tally": ...}
"""

import contextlib
import gc
import multiprocessing
import os
import signal
import time
from multiprocessing.connection import Connection

from evaltape.errors import UserError
from evaltape.options import RECORD, Settings
from evaltape.recorder.client import import_client
from evaltape.recorder.loop import Recorder
from evaltape.recorder.outcomes import GRACE_S, MAIN_ENDED, Message, Outcomes
from evaltape.recorder.pipe import Pipe
from evaltape.recorder.plan import Planner
from evaltape.recorder.tally import Tally
from evaltape.recording.lock import locked
from evaltape.session import EvalSession

LOST = "the recorder's process has ended before its work was done"

# ---------------------------------------------------------------- in the main process


class RecorderProcess:
    """The recorder as the main process knows it: started, told what to do, listened to, and waited for."""

    def __init__(self, settings: Settings, outcomes: Outcomes) -> None:
        """Start it, and wait until it holds the folder of the recordings. Raises `UserError` where it can't."""
        self.tally = Tally()
        self.started = time.monotonic()
        self.is_running = False
        self._outcomes = outcomes
        ours, theirs = multiprocessing.Pipe()
        self._pipe = Pipe(ours)
        self._process = multiprocessing.Process(target=_serve, args=(settings, theirs, ours), daemon=True)
        self._process.start()
        theirs.close()
        self._expect("ready")

    def begin(self, selected: dict[str, list[str]]) -> None:
        """Let it record these samples, by model."""
        self.started = time.monotonic()
        self._pipe.send({"begin": selected})

    def listen(self) -> None:
        """Wait until it has begun, and hear what it tells from then on. Raises `UserError` where it can't begin."""
        self._expect("begun")
        self.is_running = True
        self._pipe.listen(self._hear, self._end)

    @property
    def stopped(self) -> bool:
        """Whether it starts no further call."""
        return self._outcomes.stopped is not None

    def stop(self, reason: str) -> None:
        """Let it start no further call."""
        with contextlib.suppress(OSError):
            self._pipe.send({"stopped": reason})
        self._outcomes.stop(reason)

    def join(self) -> None:
        """Wait for its end. One that was stopped waits a minute for calls in flight, for they are paid for."""
        try:
            timeout_s = GRACE_S + 1 if self.stopped else None
            self._pipe.join(timeout_s)
            self._process.join(timeout_s)
        finally:
            self._process.terminate()  # It is over by now; or it must be, because we were interrupted while we waited.
            self._process.join()

    def _expect(self, kind: str) -> None:
        message = self._pipe.receive() or {"mistake": LOST}
        if kind not in message:
            raise UserError(message["mistake"])

    def _hear(self, message: Message) -> None:
        if "tally" in message:
            self.tally = Tally.of_dict(message["tally"])
        else:
            self._outcomes.hear(message)

    def _end(self) -> None:
        if self._outcomes.stopped is None:
            self.tally.stopped = LOST
            self._outcomes.stop(LOST)
        self.is_running = False


# ---------------------------------------------------------------- in the recorder's process


def _serve(settings: Settings, ours: Connection, theirs: Connection) -> None:
    """The life of the process."""
    theirs.close()  # Else the end of the main process would not end the pipe.
    _stand_apart()
    pipe = Pipe(ours)
    session = EvalSession(settings, is_main=False)
    try:
        with locked(session.folder, settings.cassettes, session.suite.models, session.suite.file):
            pipe.send({"ready": True})
            if settings.mode == RECORD:
                import_client()  # While the main process loads the samples. For what is missing it may not be needed.
            message = pipe.receive()
            if message is not None and "begin" in message:
                _record(session, pipe, message["begin"])
    except UserError as mistake:
        pipe.send({"mistake": str(mistake)})
    except Exception as error:  # Whatever it is, the main process has to hear of it.
        pipe.send({"mistake": f"the recording broke off: {error!r}"})


def _record(session: EvalSession, pipe: Pipe, selected: dict[str, list[str]]) -> None:
    def tell(tally: Tally) -> None:
        with contextlib.suppress(OSError):  # The main process is gone.
            pipe.send({"tally": tally.as_dict()})

    settings = session.settings
    recorder = Recorder(Outcomes(), settings.concurrency, settings.budget_usd, tell)
    name = session.suite.name
    Planner(settings, {name: session}, recorder).plan((name, model, samples) for model, samples in selected.items())
    pipe.send({"begun": True})
    recorder.outcomes.attach(pipe)
    pipe.listen(lambda message: recorder.stop_soon(message["stopped"]), lambda: recorder.stop_soon(MAIN_ENDED))
    recorder.run()


def _stand_apart() -> None:
    """An interrupt is for the main process, which says what follows from it; its terminal and its objects are its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    gc.freeze()
