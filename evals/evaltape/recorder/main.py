"""The life of the recorder, in the process that `boot` starts for the controller (see `process`)."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from typing import BinaryIO

from evaltape.errors import UserError
from evaltape.recorder import wire
from evaltape.recorder.loop import Engine, Recorder
from evaltape.recording.folder import locked
from evaltape.samples.suite_samples import settle_samples
from evaltape.settings import RECORD, Settings
from evaltape.suite.reader import read_suites
from evaltape.workspace import Workspace

ENDING = ("SIGTERM", "SIGHUP", "SIGBREAK")
"""Signals that a runner, `timeout` or a closed terminal sends to every process of the session."""


def main() -> None:
    """Hold the folders, wait for the work, do it; end the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # An interrupt is for the controller.
    pipe = wire.Pipe(*_streams())
    message = pipe.receive()
    try:
        if isinstance(message, wire.Open):
            _serve(pipe, Settings.of_json(message.settings))
    except UserError as error:
        pipe.send(wire.Stopped(str(error)))
    except Exception as error:  # The controller has to learn of it in any case.
        pipe.send(wire.Stopped(f"the recording broke off: {error!r}"))
    sys.stderr.flush()
    os._exit(0)  # Threads that still read from the pipe don't hold it up.


def _serve(pipe: wire.Pipe, settings: Settings) -> None:
    workspaces = {suite.name: Workspace(suite, settings) for suite in read_suites(settings.suites)}
    with contextlib.ExitStack() as locks:
        for workspace in workspaces.values():
            locks.enter_context(locked(workspace.folder, settings.cassettes, workspace.suite.models, workspace.suite.file))
        pipe.send(wire.Ready())
        if settings.mode == RECORD and settings.asks_api:
            import openai  # noqa: F401  # While the controller loads the samples. For a few missing calls it may not be needed.
        message = pipe.receive()
        if isinstance(message, wire.Begin) and message.selection:
            _record(pipe, settings, workspaces, message.selection)
        elif isinstance(message, wire.Begin):
            _settle(settings, workspaces)


def _record(pipe: wire.Pipe, settings: Settings, workspaces: dict[str, Workspace], selection: wire.Selection) -> None:
    from evaltape.recorder.plan import Planner

    def receive(message: wire.Message) -> None:
        if isinstance(message, wire.Stopped):
            recorder.stop_soon(message.reason)

    recorder = Recorder(wire.Outcomes(), settings.concurrency, settings.budget_usd, pipe.send)
    recorder.engine = engine_of(settings, workspaces, recorder)
    Planner(settings, workspaces, recorder).plan(selection)
    _settle(settings, workspaces)
    pipe.send(wire.Ready())
    _end_on_signals(recorder.stop_soon)
    recorder.outcomes.attach(pipe.send)
    pipe.listen(receive, lambda: recorder.stop_soon(wire.CONTROLLER_ENDED))
    recorder.run()
    for suite, model, _ in selection:
        if model in workspaces[suite].suite.models:
            workspaces[suite].arrange(model)


def engine_of(settings: Settings, workspaces: dict[str, Workspace], recorder: Recorder) -> Engine | None:
    """Return the engine that answers the calls, if the API isn't called for each."""
    if settings.batch:
        from evaltape.recorder.batches.engine import BatchEngine

        return BatchEngine(settings, workspaces, recorder)
    if settings.answers_from:
        from evaltape.recorder.batches.outputs import FromFiles

        return FromFiles(settings.answers_from, {name: it.suite for name, it in workspaces.items()}, recorder)
    return None


def _settle(settings: Settings, workspaces: dict[str, Workspace]) -> None:
    for workspace in workspaces.values():
        settle_samples(workspace.suite, workspace.folder, fresh=settings.mode == RECORD)


def _end_on_signals(stop: Callable[[str], None]) -> None:
    """From now on let a signal that ends processes stop the recording: calls in flight are paid for, and are waited for."""
    for name in ENDING:
        if hasattr(signal, name):
            number = getattr(signal, name)
            signal.signal(number, lambda *_, name=name: stop(f"the recorder was ended by {name}"))


def _streams() -> tuple[BinaryIO, BinaryIO]:
    """Return the streams to the controller, and keep everything else that prints away from them."""
    incoming, outgoing = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(nowhere, descriptor)
    return os.fdopen(incoming, "rb"), os.fdopen(outgoing, "wb")
