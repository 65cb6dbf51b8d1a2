"""Under pytest-xdist: workers run sample tests, the main process has the recorder and runs the gates.

1. The main process collects before the workers start: it freezes the samples, tells mistakes once, and knows the gates.
2. When recording, the recorder starts at once, and each worker is given a channel that tells it the outcome of each call.
3. xdist spreads the sample tests as `--dist` says. Their reports bring predictions and scores back.
4. When all are done the main process runs the gates, on reports and, for what none has told, on the recordings.
"""

import json
from collections.abc import Generator
from itertools import pairwise
from typing import Any

import pytest

from evaltape.hooks.items import is_gate
from evaltape.recorder.outcomes import MAIN_ENDED, Message
from evaltape.session import EvalSession

CHANNEL = "evaltape"
PACKED = "evaltape_json"


def register(config: pytest.Config, session: EvalSession) -> None:
    """Register the hooks of a worker, or of the main process, which takes effect only where it distributes."""
    config.pluginmanager.register(Reports())
    if session.is_main:
        config.pluginmanager.register(Distribution(session))
    elif session.settings.records:
        channel = config.workerinput[CHANNEL]  # type: ignore[attr-defined]
        channel.setcallback(lambda text: session.outcomes.hear(json.loads(text)), endmarker=json.dumps({"stopped": MAIN_ENDED}))
        channel.send("listening")


class ToWorker:
    """The way to a worker. JSON also holds the half characters that execnet can't send, and models write."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    def send(self, message: Message) -> None:
        """Send a message."""
        self._channel.send(json.dumps(message))


class Reports:
    """The hooks of both sides of a report's way: that of an Evaltape test travels as one text of JSON.

    execnet writes and reads its parts in Python, which takes two to three times as long.
    """

    @pytest.hookimpl(wrapper=True)
    def pytest_report_to_serializable(self, report: Any) -> Generator[None, Any, Any]:
        """Pack what pytest makes of a report."""
        data = yield
        if not hasattr(report, "evaltape"):
            return data
        try:
            return {PACKED: json.dumps(data)}
        except (TypeError, ValueError):  # It holds what only execnet can send: another plugin's bytes, say.
            return data

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_from_serializable(self, config: pytest.Config, data: dict[str, Any]) -> Any:
        """Unpack it, and let pytest make a report of it."""
        return (
            config.hook.pytest_report_from_serializable(config=config, data=json.loads(data[PACKED]))
            if PACKED in data
            else None
        )


class Distribution:
    """The hooks of the main process."""

    def __init__(self, session: EvalSession) -> None:
        self.session = session
        self._distributes = False
        self._gates: list[pytest.Item] = []
        self._session: pytest.Session

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Keep the session, for the hook below has none."""
        self._session = session

    def pytest_xdist_setupnodes(self) -> None:
        """Collect before xdist starts the first worker."""
        self._distributes = True
        self._collect(self._session)

    def pytest_configure_node(self, node: Any) -> None:
        """Give a worker, also one that replaces another, its channel."""
        if self.session.settings.records:
            channel = node.gateway.newchannel()
            node.workerinput[CHANNEL] = channel
            # execnet drops what is sent before the worker has the channel: it is told everything once it says hello.
            channel.setcallback(lambda _: self.session.outcomes.attach(ToWorker(channel)))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Run the gates once xdist has run the samples."""
        if self._gates:
            import numpy  # noqa: F401  # What gates compute with, while the workers start.
        result = yield
        if self._distributes:
            session.testscollected += len(self._gates)
            for gate, following in pairwise([*self._gates, None]):
                session.config.hook.pytest_runtest_protocol(item=gate, nextitem=following)
                if session.shouldfail or session.shouldstop:
                    raise session.Failed(session.shouldfail or session.shouldstop)
        return result

    def _collect(self, session: pytest.Session) -> None:
        from evaltape.hooks.controller import begin_recording

        self.session.runs_samples = self.session.settings.records
        session.perform_collect()
        if session.testsfailed and not session.config.option.continue_on_collection_errors:
            raise session.Interrupted(f"{session.testsfailed} error(s) during collection")
        self._gates = [item for item in session.items if is_gate(item)]
        begin_recording(self.session, session)
        self.session.runs_samples = False
        session.items = []
