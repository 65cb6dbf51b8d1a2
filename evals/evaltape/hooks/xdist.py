"""Under pytest-xdist: workers run sample tests, the controller has the recorder and runs the gates.

The controller collects before the workers start: it freezes the samples, reports the user's errors once, and knows the gates.
When recording, each worker gets a channel that brings the outcome of each call.
"""

import contextlib
import threading
import time
from collections.abc import Generator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import pytest

from evaltape.evaluation import Evaluation
from evaltape.hooks.cases import is_gate
from evaltape.hooks.reports import is_ours
from evaltape.recorder.wire import CONTROLLER_ENDED, Ended, Stopped, decoded, encoded

if TYPE_CHECKING:
    from evaltape.hooks.controller import Controller

CHANNEL = "evaltape"
SYRUPY_REPORT = "syrupy_report"
START_S = 2.0
"""How long the end of a session waits for workers that were only just started."""


class Sending:
    """The hook of a process that sends reports, so that execnet takes them."""

    @pytest.hookimpl(wrapper=True)
    def pytest_report_to_serializable(self, report: Any) -> Generator[None, Any, Any]:
        """Escape lone surrogates, which models produce and execnet rejects, in the report of a test of ours."""
        data = yield
        return sendable(data) if is_ours(report) else data


def sendable(value: Any) -> Any:
    """Return builtins with every lone surrogate escaped; everything else stays the same, tuples included."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {sendable(key): sendable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [sendable(item) for item in value]
    if isinstance(value, tuple):
        return tuple(sendable(item) for item in value)
    return value


class Worker(Sending):
    """The hooks of a worker."""

    def __init__(self, config: pytest.Config, evaluation: Evaluation) -> None:
        self.evaluation = evaluation
        if evaluation.settings.records:
            channel = config.workerinput[CHANNEL]  # type: ignore[attr-defined]
            channel.setcallback(self._receive, endmarker=encoded(Stopped(CONTROLLER_ENDED)))
            channel.send("listening")

    def _receive(self, text: str) -> None:
        """Take in the outcome of a call from the controller."""
        message = decoded(text)
        if isinstance(message, Ended | Stopped):
            self.evaluation.outcomes.receive(message)

    def open(self) -> None:
        """Open the suites, with the samples that the controller has frozen. Raises `UserError`."""
        self.evaluation.open_suites()
        self.evaluation.check_samples()


class Distribution(Sending):
    """The hooks of the controller. Those of xdist are called only if it starts workers."""

    def __init__(self, evaluation: Evaluation, controller: "Controller") -> None:
        self.evaluation = evaluation
        self.controller = controller
        self._distributes = False
        self._gates: list[pytest.Item] = []
        self._listening: list[threading.Event] = []
        """Of each worker whether it has its channel, or has ended."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, config: pytest.Config) -> None:
        """Collect before xdist starts the first worker."""
        self._distributes, session = True, cast(pytest.Session, config.pluginmanager.getplugin("session"))
        session.perform_collect()
        if session.testsfailed and not session.config.option.continue_on_collection_errors:
            # pytest gives no summary of a session that ends this early.
            reporter = session.config.pluginmanager.getplugin("terminalreporter")
            if reporter is not None:
                reporter.summary_errors()
            raise session.Interrupted(f"{session.testsfailed} error(s) during collection")
        self._gates = [item for item in session.items if is_gate(item)]
        self.controller.record(session)
        session.items = []

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Give a worker, also a replacement, its channel."""
        if self.evaluation.settings.records:
            channel, listening = node.gateway.newchannel(), threading.Event()
            node.workerinput[CHANNEL] = channel
            self._listening.append(listening)

            def send(message: Ended | Stopped) -> None:
                # A worker may be gone: xdist reports it, and its replacement gets everything again.
                with contextlib.suppress(OSError):
                    channel.send(encoded(message))

            def attach(said: str | None) -> None:
                if said is not None:
                    self.evaluation.outcomes.attach(send)
                listening.set()

            # As JSON: execnet rejects lone surrogates, which models produce. It drops what is sent before the worker
            # has the channel, so the worker gets all of it once it reports.
            channel.setcallback(attach, endmarker=None)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Let workers come up that were only just started, where the recording is refused.

        A worker that is told to end before it has begun its task forgets the task, and execnet waits for it for five seconds.
        """
        until = time.monotonic() + START_S
        for listening in self._listening:
            listening.wait(max(0.0, until - time.monotonic()))

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Tell syrupy of the gates that run here: the collected and the selected tests are then the same again."""
        report = (getattr(node, "workeroutput", None) or {}).get(SYRUPY_REPORT)
        if report is not None:
            report["selected"].update({gate.nodeid: False for gate in self._gates})

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Run the gates once xdist has run the samples."""
        result = yield
        if self._distributes:
            session.testscollected += len(self._gates)
            for gate, following in pairwise([*self._gates, None]):
                if session.shouldfail or session.shouldstop:
                    raise session.Failed(session.shouldfail or session.shouldstop)
                session.config.hook.pytest_runtest_protocol(item=gate, nextitem=following)
        return result
