"""A project at a server of its own, and what has to hold once its recording is finished."""

import json
import random
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaltape.recording import cassettes

from tests.support.faults.findings import Findings
from tests.support.project import Project, Run, Running
from tests.support.server import ApiServer
from tests.support.server.http import Asked

SAMPLES, IN_FLIGHT, LATENCY_S = 32, 8, 0.1
DEADLINE_S = 90.0
"""A session that takes longer hangs."""
BASELINE = ("evals", "-m", "baseline")


@dataclass(frozen=True)
class Undisturbed:
    """What a recording looks like to which nothing happened."""

    answers: dict[str, str]
    """Cassettes by sample, without what differs from one recording to the next."""
    results: Any
    snapshots: Path


class Scene:
    """One campaign's project and server; `wanted` is None while the undisturbed recording is made."""

    def __init__(self, root: Path, api: ApiServer, wanted: Undisturbed | None = None) -> None:
        self.api, self.findings = api, Findings()
        self.wanted = wanted
        self.early, self.in_a_row = 0.2, 3
        """The share of strikes that come while a session starts; how many sessions are struck until one finishes."""
        self.allowed = 0
        """How many answers may be paid for again: those in flight when a session was struck."""
        self.project = Project(root / "project", api.base_url)
        self.project.set_waits("recorder.api.failures", FIRST_BACKOFF_S=0.02, LONGEST_BACKOFF_S=0.2, WRITE_PATIENCE_S=1.0)
        names = [f"p{number:03d}" for number in range(SAMPLES)]
        self.project.write_rows(
            [{"id": name, "dialogue": f"Ann: I am {name}\nBob: ok", "summary": f"Ann: {name} is there."} for name in names]
        )
        if wanted is not None:
            shutil.copytree(wanted.snapshots, self.project.root / "evals/__snapshots__")

    # ------------------------------------------------------------ sessions

    def start(self, *args: str) -> Running:
        """Start a session that is to be disturbed: a fresh recording, or one that goes on with what is missing."""
        self.findings.sessions += 1
        mode = "--record" if self.findings.sessions == 1 else "--record-missing"
        return self.project.start(*BASELINE, mode, "--concurrency", str(IN_FLIGHT), *args)

    def end(self, running: Running) -> Run | None:
        """Wait for a session's end, and check what it leaves; None if it hung."""
        try:
            run = running.wait(DEADLINE_S)
        except AssertionError as error:
            self.findings.hung += 1
            self.findings.report(f"hung: {error}")
            return None
        if "INTERNALERROR" in run.output:
            self.findings.report(run.output)
        self.check_whole()
        return run

    def wait_for_moment(self, rng: random.Random, running: Running) -> None:
        """Wait for a random moment of a session: of its start, or after a random number of answers."""
        left = SAMPLES - len(self.project.recorded())
        if not left or rng.random() < self.early:
            time.sleep(rng.uniform(0, 1.5))
            return
        answered = self.api.answered + rng.randrange(left)
        while running.process.is_alive() and self.api.answered < answered:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, LATENCY_S))

    # ------------------------------------------------------------ what has to hold

    def check_whole(self) -> None:
        """Check that every cassette is whole."""
        for path in self.project.cassettes.glob("*/*.yaml"):
            try:
                assert len(cassettes.read(path)) == 1
            except Exception as error:  # Whatever it is.
                self.findings.corrupt += 1
                self.findings.report(f"{path.name}: {error!r}")

    def settle(self, answered_wrongly: frozenset[int] = frozenset()) -> Findings:
        """Finish the recording while nothing goes wrong, replay it, and compare; `answered_wrongly` holds ids of requests."""
        assert self.wanted is not None
        self.api.latency_s = 0.0
        self._finish("--record-missing")
        found = self.findings
        answers = self.answers()
        found.lost += len(set(self.wanted.answers) - set(answers))
        found.corrupt += sum(text != self.wanted.answers.get(name) for name, text in answers.items())
        found.corrupt += len(list(self.project.cassettes.rglob("*.part")))
        answered = [asked for asked in self.api.asked() if asked.status == 200 and id(asked) not in answered_wrongly]
        found.again += len(answered) - SAMPLES
        found.beyond += max(0, len(answered) - SAMPLES - self.allowed)
        if len(answered) - SAMPLES > self.allowed:
            found.report(f"{len(answered)} answers to {SAMPLES} samples: {self.allowed} more allowed")
        calls = self.api.calls
        self._finish()
        assert self.api.calls == calls, "a replay called the API"
        return found

    def _finish(self, *args: str) -> None:
        """Run a session in which nothing goes wrong: everything passes, and gives the results of an undisturbed one."""
        assert self.wanted is not None
        results = self.project.root / "results.json"
        run = self.end(self.project.start(*BASELINE, "-p no:xdist", "--results", str(results), *args))
        if run is None:
            return
        if run.exit_code != 0:
            self.findings.report(f"exit code {run.exit_code}: {run.output}")
        if self.results(results) != self.wanted.results:
            self.findings.corrupt += 1
            self.findings.report("other results than those of an undisturbed recording")

    def answers(self) -> dict[str, str]:
        """The cassettes by sample, without what differs from one recording to the next."""
        return {name: text.replace(self.api.base_url, "") for name, text in self.project.answers().items()}

    @staticmethod
    def results(path: Path) -> Any:
        """What a results file says of scores, gates and predictions; None if there is none."""
        if not path.exists():
            return None
        suite = json.loads(path.read_text())["suites"]["chats"]
        model = suite["models"]["small"]
        return {**{key: model[key] for key in ("samples", "failed", "scores", "gates")}, "predictions": suite["predictions"]}


@contextmanager
def scene(root: Path, wanted: Undisturbed | None = None) -> Iterator[Scene]:
    """A project that nothing is recorded in, at a server of its own."""
    root.mkdir(parents=True)
    with ApiServer(latency_s=LATENCY_S) as api:
        yield Scene(root, api, wanted)


def undisturbed(root: Path) -> Undisturbed:
    """Record once without any fault."""
    with scene(root) as here:
        here.api.latency_s = 0.0
        path = here.project.root / "results.json"
        here.project.record("-p no:xdist", "--results", str(path))
        answers = here.answers()
        assert len(answers) == here.api.calls == SAMPLES
        return Undisturbed(answers, here.results(path), here.project.root / "evals/__snapshots__")


def sample_of(asked: Asked) -> str:
    """The sample that a call asks about."""
    return asked.text.partition("I am ")[2][:4]
