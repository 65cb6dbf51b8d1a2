"""A world in which fine-tuning jobs are driven: machines, sessions one after the other or two at once, and everything that
can go wrong with a request. `play` runs it and asserts what has to hold in any of them.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
from evaltape.finetuning.host import Api
from evaltape.finetuning.jobs import PreparedJob
from evaltape.finetuning.recorded_job import Job
from evaltape.finetuning.services import SERVICES, Service
from evaltape.recorder.api.asking import Patience
from evaltape.recorder.api.client import Endpoint
from evaltape.recorder.budget import Budget
from evaltape.recorder.tuning.driver import drive_job
from evaltape.recorder.tuning.hosts import OpenAIHost
from evaltape.recorder.tuning.states import Drive, End, State
from evaltape.suite.definition import Finetune
from hypothesis import strategies as st

from tests.support.server import FAULTS, ApiServer, Reply, error
from tests.support.server.http import Asked
from tests.support.server.jobs import Quirks, Tuning
from tests.support.server.shapes import SHAPES

MACHINES = 2
EXTRA = {"azure": {"trainingType": "globalStandard"}, "litellm": {"custom_llm_provider": "vertex_ai"}}
TICK_S, QUEUE_S, LAG_S = 0.03, 0.06, 0.05
HANGING_S = 20.0
"""A session that takes longer hangs."""
QUICK = Patience(
    read_s=5.0, poll_s=5.0, order_s=0.3, look_s=0.3, look_every_s=0.02, rivals_s=20.0, settle_s=0.04, file_s=5.0, serve_s=5.0, longest_wait_s=0.02, extra_s=0.2,
    first_backoff_s=0.005, longest_backoff_s=0.05, longest_retry_after_s=0.05,
)  # fmt: skip
"""Short where a wait is sat out, long where only a machine that is busy with other things would reach it."""
TIMEOUT_S = 1.0
CALLS = {
    "list": ("GET", r"/fine_tuning/jobs"),
    "order": ("POST", r"/fine_tuning/jobs"),
    "poll": ("GET", r"/fine_tuning/jobs/[^/]+"),
    "cancel": ("POST", r"/fine_tuning/jobs/[^/]+/cancel"),
    "events": ("GET", r"/fine_tuning/jobs/[^/]+/events"),
    "upload": ("POST", r"/files"),
    "files": ("GET", r"/files"),
    "file": ("GET", r"/files/[^/]+"),
    "content": ("GET", r"/files/[^/]+/content"),
    "model": ("GET", r"/models/.+"),
    "checkpoints": ("GET", r"/fine_tuning/jobs/[^/]+/checkpoints"),
    "register": ("POST", r"/v0/models"),
    "registered": ("GET", r"/v0/models/.+"),
}
KINDS: dict[str, Any] = {
    **{kind: FAULTS[kind] for kind in ("lost", "reset", "504 though done", "html though done", "twice", "echoed")},
    **{kind: FAULTS[kind] for kind in ("400", "403", "404", "429 at once", "500", "html error", "not json")},
    "late": Reply(late=True, delay_s=0.03),
    "too late": Reply(late=True, delay_s=5.0),
    "in a day": error(503, "Overloaded", headers={"retry-after": "86400"}),
}
OPENS = ("lost", "504 though done", "html though done", "too late", "twice")
"""Faults after which there may be a job that the answer didn't name."""
FINAL = ("400", "403", "404")
"""Refusals that no further attempt mends."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a session's request of one kind, counted from 0."""

    call: str
    number: int
    kind: str


@dataclass(frozen=True)
class Session:
    """A session on one machine; killed when its request number `killed_at` arrives, if it gets so far."""

    machine: int
    mode: str = "record"
    faults: tuple[Fault, ...] = ()
    killed_at: int | None = None


@dataclass(frozen=True)
class World:
    """An API, and rounds of sessions: one, or two at once on different machines."""

    rounds: tuple[tuple[Session, ...], ...]
    shape: str = "openai"
    """Whose ways its API has."""
    keeps_metadata: bool = True
    filters: str = "yes"
    lag_s: float = 0.0
    endless: bool = False
    oldest_first: bool = False
    result_files: bool = True

    def quirks(self) -> Quirks:
        """What its API does otherwise than the documentation says."""
        shape = SHAPES[self.shape]
        return replace(
            shape,
            keeps_metadata=shape.keeps_metadata and self.keeps_metadata,
            filters=self.filters if shape.filters == "yes" else shape.filters,
            lag_s=self.lag_s,
            endless=self.endless,
            oldest_first=self.oldest_first,
            result_files=shape.result_files and self.result_files,
            tick_s=TICK_S,
            shuffled_ids=True,
            queue_s=QUEUE_S,
        )

    @property
    def sessions(self) -> list[Session]:
        """All sessions."""
        return [session for sessions in self.rounds for session in sessions]

    def unavoidable(self) -> int:
        """How many jobs more than one may be paid, because nobody could know of the others.

        An API that never lists a job hides it from other machines. One that keeps no metadata doesn't say which of two jobs is
        ours if the answer was lost, so neither is cancelled. And an answer that never comes in time to a look or a
        cancellation while another session's job is there.
        """
        twice = sum(fault.call == "order" and fault.kind == "twice" for one in self.sessions for fault in one.faults)
        if self.lag_s == float("inf"):
            return MACHINES - 1 + twice
        pairs = [session for sessions in self.rounds if len(sessions) > 1 for session in sessions]
        faults = [fault for session in pairs for fault in session.faults]
        blind = sum(fault.call in ("list", "cancel", "poll") and fault.kind in FINAL for fault in faults)
        if self.quirks().keeps_metadata:
            return blind
        opened = sum(fault.call == "order" and fault.kind in OPENS for fault in faults)
        return blind + opened + sum(one.killed_at is not None for one in pairs) + twice


@dataclass
class Tally:
    """What came of the worlds that were played."""

    worlds: int = 0
    shapes: Counter[str] = field(default_factory=Counter)
    sessions: int = 0
    requests: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    killed: int = 0
    jobs: Counter[int] = field(default_factory=Counter)
    """Worlds by the number of jobs that were paid."""
    hidden: int = 0
    """Worlds in which more jobs were paid than asked for, as `World.unavoidable` allows."""


# ---------------------------------------------------------------- strategies


def _faults(call: str, last: int) -> st.SearchStrategy[Fault]:
    return st.builds(Fault, st.just(call), st.integers(0, last), st.sampled_from(sorted(KINDS)))


faults = st.one_of(
    _faults("order", 0),
    _faults("order", 1),
    _faults("list", 2),
    _faults("list", 7),
    _faults("poll", 5),
    *(_faults(call, 1) for call in CALLS),
)
modes = st.sampled_from(["record"] * 4 + ["missing"] * 2 + ["retrain"])
kills = st.one_of(st.none(), st.none(), st.none(), st.integers(0, 16))


def sessions(machine: int) -> st.SearchStrategy[Session]:
    """Sessions on one machine."""
    return st.builds(Session, st.just(machine), modes, st.lists(faults, max_size=4).map(tuple), kills)


pairs = st.tuples(sessions(0), sessions(1))
rounds = st.one_of(pairs, pairs, *(st.tuples(sessions(machine)) for machine in range(MACHINES)))
worlds = st.builds(
    World,
    rounds=st.lists(rounds, min_size=1, max_size=3).map(tuple),
    shape=st.sampled_from(["openai", "openai", *SHAPES]),
    keeps_metadata=st.booleans(),
    filters=st.sampled_from(["yes", "ignored", "refused"]),
    lag_s=st.sampled_from([0.0, 0.0, LAG_S, LAG_S, float("inf")]),
    endless=st.sampled_from([False, False, False, True]),
    oldest_first=st.booleans(),
    result_files=st.booleans(),
)


# ---------------------------------------------------------------- playing


class Zhipu(OpenAIHost):
    """A host by a `Service` of the user's."""

    def __init__(self, api: Api) -> None:
        super().__init__(api, Service(top_level=True, takes_metadata=False, takes_seed=False))


def deploy(job: Job) -> str:
    """The suite's `deploy`: a deployment named after the tuned model's job."""
    return f"deployed-{job.id}"


class Script:
    """A rule of the server for one session's requests, recognised by its key."""

    def __init__(self, key: str, session: Session, folder: Path, tally: Tally) -> None:
        self._key, self._session, self._folder, self._tally = key, session, folder, tally
        self._counts: Counter[str] = Counter()
        self._requests = 0
        self.kill: Any = None
        self.files_when_killed: dict[str, bytes] | None = None
        self.fault: Any = None

    def applies(self, asked: Asked) -> bool:
        """Whether something goes wrong with this request."""
        if asked.headers.get("authorization") != f"Bearer {self._key}":
            return False
        number, self._requests = self._requests, self._requests + 1
        if number == self._session.killed_at:
            self.files_when_killed = files_of(self._folder)
            self.kill()
            self.fault = Reply(lost=True, delay_s=0.2) if number % 2 else Reply({}, delay_s=0.2)
            return True
        call = call_of(asked)
        number, self._counts[call] = self._counts[call], self._counts[call] + 1
        kind = next((one.kind for one in self._session.faults if (one.call, one.number) == (call, number)), None)
        if kind is None:
            return False
        self._tally.faults[f"{call} {kind}"] += 1
        self.fault = KINDS[kind]
        return True


def call_of(asked: Asked) -> str:
    """The kind of a request."""
    path = asked.path.removeprefix("/v1")
    return next(name for name, (method, form) in CALLS.items() if method == asked.method and re.fullmatch(form, path))


def machine_of(authorization: str) -> str | None:
    """The machine of a key, None without one."""
    found = re.search("-on-([0-9])-", authorization)
    return found and found[1]


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file under a folder."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Stage:
    """Plays worlds, one after the other, at one server."""

    def __init__(self, prepared: PreparedJob, api: ApiServer, root: Path, tally: Tally | None = None) -> None:
        self._prepared = prepared
        self._api = api
        self._root = root
        self._keys = 0
        self.tally = tally or Tally()
        self._worlds = 0

    def play(self, world: World) -> None:
        """Play one world, and assert what has to hold in it."""
        self.tally.worlds += 1
        self.tally.shapes[world.shape] += 1
        self._worlds += 1
        folder = self._root / f"world-{self._worlds}"
        self._api.forget()
        self._job = self._job_at(world.shape)
        # A stale list, and a poll that is answered twice, take looks before the session that ordered a job can decide on it.
        self._api.tuning = Tuning(states=(*("queued",) * 4, "running", "succeeded"), quirks=world.quirks())
        with loop() as runner:
            for sessions in world.rounds:
                runner.run(self._play_round(sessions, folder))
            for machine in range(MACHINES):
                runner.run(self._settle(machine, folder))
        self.tally.requests += len(self._api.requests)
        self.tally.jobs[len(self._api.tuning.paid)] += 1
        for job in self._api.tuning.jobs.values():
            assert machine_of(job.cancelled_with) in (None, machine_of(job.ordered_with)), "cancelled another session's job"
        alive, asked_for = self._api.tuning.alive, self._asked_for()
        self.tally.hidden += len(alive) > asked_for
        assert len(alive) <= asked_for + world.unavoidable(), f"{alive} trained or will, {asked_for} asked for"

    def _job_at(self, shape: str) -> Finetune:
        """The job as a suite for this host says it."""
        deploy = "tests.support.job_world:deploy" if SHAPES[shape].serves == "deployment" else None
        service = "tests.support.job_world:Zhipu" if shape == "zhipu" else shape if shape in SERVICES else "openai"
        extra = EXTRA.get(shape, {})
        job = self._prepared.job
        return msgspec.structs.replace(job, poll_seconds=0.01, service=service, extra=extra, deploy=deploy)

    def _asked_for(self) -> int:
        """How many jobs may be paid: one, and one for each session that retrains and ordered one."""
        ordering = {asked.headers["authorization"] for asked in self._api.asked("/fine_tuning/jobs")}
        retraining = {key for key in ordering if "retrain" in key}
        return len(retraining) + (ordering > retraining)

    async def _settle(self, machine: int, folder: Path) -> None:
        """Record on a machine with nothing going wrong any more, after up to three decisions to pay again."""
        for retrains in range(4):
            result = await self._session(Session(machine, "retrain" if retrains else "record"), folder)
            assert result is not None
            if result.state in (State.RECORDED, State.KEPT):
                self._assert_recorded(machine, folder)
                return
            assert result.state in (State.UNCLEAR, State.GONE, State.ENDED), result
        raise AssertionError(f"no way leads out of {result}")

    def _assert_recorded(self, machine: int, folder: Path) -> None:
        job = self._prepared_on(machine, folder).recorded().job
        assert job is not None
        made = self._api.tuning.jobs[job.id].body["fine_tuned_model"]
        names = {"deployment": [deploy(job)], "registered": self._api.tuning.tuned_models}
        assert job.tuned_model in names.get(self._api.tuning.quirks.serves, [made])

    async def _play_round(self, sessions: tuple[Session, ...], folder: Path) -> None:
        await asyncio.gather(*(self._session(session, folder) for session in sessions))

    def _prepared_on(self, machine: int, folder: Path) -> PreparedJob:
        cassette = folder / f"machine-{machine}" / "tuned" / "job.yaml"
        return msgspec.structs.replace(self._prepared, cassette=cassette, job=self._job, root=Path(__file__).parents[2])

    async def _session(self, session: Session, folder: Path) -> End | None:
        """Run one session; its result, or None if it was killed or had nothing to do."""
        prepared = self._prepared_on(session.machine, folder)
        if session.mode == "missing" and prepared.recorded().job and not prepared.intents.read(prepared.identity.digest):
            return None
        self._keys += 1
        self.tally.sessions += 1
        key, notes, budget = f"sk-{session.mode}-on-{session.machine}-{self._keys:08d}", list[str](), Budget()
        script = Script(key, session, prepared.cassette.parent, self.tally)
        endpoint = Endpoint(self._api.base_url, key, TIMEOUT_S)
        retrain = session.mode == "retrain"
        drive = Drive(prepared, endpoint, budget, notes.append, lambda text: None, retrain, patience=QUICK)
        task = asyncio.ensure_future(drive_job(drive))
        here = asyncio.get_running_loop()
        script.kill = lambda: here.call_soon_threadsafe(task.cancel)
        self._api.add_rule(script)
        try:
            async with asyncio.timeout(HANGING_S):
                result = await task
        except asyncio.CancelledError:
            self.tally.killed += 1
            # A session that is killed can't tidy up, so one that is cancelled mustn't.
            assert files_of(prepared.cassette.parent) == script.files_when_killed
            return None
        finally:
            assert not budget.holds
            await endpoint.close()
        self._assert_clear(result, prepared, notes)
        return result

    def _assert_clear(self, result: End, prepared: PreparedJob, notes: list[str]) -> None:
        """A session ends with a recorded job or with a message that says what to do."""
        self.tally.states[result.state.value] += 1
        assert all(note.startswith("tuned: ") and note.isprintable() for note in notes), notes
        if result.state in (State.RECORDED, State.KEPT):
            assert result.failure is None
            assert prepared.recorded().job is not None
            return
        error = str(result.failure)
        assert error.startswith("[finetune.tuned] ")
        assert error.isprintable()
        if result.state is not State.STOPPED:
            assert prepared.how_to_go_on in error or str(prepared.how_to_retrain) in error, error


@contextmanager
def loop() -> Iterator[asyncio.Runner]:
    """An event loop for one world."""
    with asyncio.Runner() as runner:
        yield runner
