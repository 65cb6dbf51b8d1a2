"""Under pytest-xdist: workers run sample tests, the main process makes the calls and runs the gates.

1. The main process collects before the workers start: it freezes the samples, tells mistakes once, and knows the gates.
2. When recording, the recorder starts at once, and each worker is given a channel that tells it the outcome of each call.
3. xdist spreads the sample tests as `--dist` says. Their reports bring predictions and scores back.
4. When all are done the main process runs the gates, on reports and, for what none has told, on the recordings.
"""

import warnings
from collections.abc import Generator
from itertools import pairwise
from typing import Any, cast

import pytest

from evals.harness.errors import FewerSamples
from evals.harness.session import EvalSession

CHANNEL = "evaltape"


def register(config: pytest.Config, session: EvalSession) -> None:
    """Register the hooks of a worker, or of the main process, which takes effect only where it distributes."""
    if session.is_main:
        config.pluginmanager.register(Distribution(session))
    elif session.settings.records:
        session.outcomes.listen(config.workerinput[CHANNEL])  # type: ignore[attr-defined]


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
            channel.setcallback(lambda _: self.session.outcomes.attach(channel))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Run the gates once xdist has run the samples."""
        result = yield
        if self._distributes:
            session.testscollected += len(self._gates)
            for gate, following in pairwise([*self._gates, None]):
                session.config.hook.pytest_runtest_protocol(item=gate, nextitem=following)
                if session.shouldfail or session.shouldstop:
                    raise session.Failed(session.shouldfail or session.shouldstop)
        return result

    def _collect(self, session: pytest.Session) -> None:
        from evals.harness.plugin import begin_recording, is_gate

        self.session.runs_samples = self.session.settings.records
        # pytest catches warnings in its own collection only; all others come from the workers, too.
        with warnings.catch_warnings(record=True, action="ignore") as caught:
            warnings.simplefilter("always", FewerSamples)
            session.perform_collect()
        for warning in caught:
            session.config.issue_config_time_warning(cast(Warning, warning.message), stacklevel=2)
        if session.testsfailed and not session.config.option.continue_on_collection_errors:
            raise session.Interrupted(f"{session.testsfailed} error(s) during collection")
        self._gates = [item for item in session.items if is_gate(item)]
        begin_recording(self.session, session)
        self.session.runs_samples = False
        session.items = []
