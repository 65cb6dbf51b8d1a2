"""`python -m evaltape.recorder`: the life of the recorder. It is started by the controller (see `process`)."""

import contextlib
import os
import signal
import sys
from typing import BinaryIO

import msgspec

from evaltape.errors import UserError
from evaltape.recorder.loop import Recorder
from evaltape.recorder.outcomes import CONTROLLER_ENDED, Outcomes, Selection
from evaltape.recorder.pipe import Pipe
from evaltape.recorder.tally import Tally
from evaltape.recording.lock import locked
from evaltape.samples.frozen import discard
from evaltape.samples.suite_samples import settle_samples
from evaltape.settings import RECORD, Settings
from evaltape.workspace import Workspace, read_suites


def main() -> None:
    """Hold the folders, wait for the work, do it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # An interrupt is for the controller.
    pipe = Pipe(*_streams())
    message = pipe.receive()
    if message is None:
        return
    try:
        _serve(pipe, Settings.of_json(message["settings"]))
    except UserError as error:
        _send(pipe, {"error": str(error)})
    except Exception as error:  # Whatever it is, the controller has to learn of it.
        _send(pipe, {"error": f"the recording broke off: {error!r}"})


def _serve(pipe: Pipe, settings: Settings) -> None:
    workspaces = {suite.name: Workspace(suite, settings) for suite in read_suites(settings.suites)}
    with contextlib.ExitStack() as locks:
        for workspace in workspaces.values():
            locks.enter_context(locked(workspace.folder, settings.cassettes, workspace.suite.models, workspace.suite.file))
        pipe.send({"ready": True})
        if settings.mode == RECORD:
            import openai  # noqa: F401  # While the controller loads the samples. For what is missing it may not be needed.
        message = pipe.receive()
        try:
            if message is not None and "begin" in message:
                _record(pipe, settings, workspaces, message["begin"])
            elif message is not None and "settle" in message:
                _settle(settings, workspaces)
        finally:
            for workspace in workspaces.values():
                discard(workspace.folder)


def _record(pipe: Pipe, settings: Settings, workspaces: dict[str, Workspace], selection: Selection) -> None:
    from evaltape.recorder.plan import Planner

    def report(tally: Tally) -> None:
        _send(pipe, {"tally": msgspec.to_builtins(tally)})

    recorder = Recorder(Outcomes(), settings.concurrency, settings.budget_usd, report)
    Planner(settings, workspaces, recorder).plan(selection)
    _settle(settings, workspaces)
    pipe.send({"begun": True})
    recorder.outcomes.attach(pipe)
    pipe.listen(lambda message: recorder.stop_soon(message["stopped"]), lambda: recorder.stop_soon(CONTROLLER_ENDED))
    recorder.run()


def _settle(settings: Settings, workspaces: dict[str, Workspace]) -> None:
    for workspace in workspaces.values():
        settle_samples(workspace.suite, workspace.folder, fresh=settings.mode == RECORD)


def _send(pipe: Pipe, message: dict[str, object]) -> None:
    with contextlib.suppress(OSError):  # The controller is gone.
        pipe.send(message)


def _streams() -> tuple[BinaryIO, BinaryIO]:
    """Return the streams to the controller, out of reach of whatever else prints."""
    incoming, outgoing = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(nowhere, descriptor)
    return os.fdopen(incoming, "rb"), os.fdopen(outgoing, "wb")


if __name__ == "__main__":
    main()
    sys.stderr.flush()
    os._exit(0)  # Threads that still read from the pipe don't hold it up.
