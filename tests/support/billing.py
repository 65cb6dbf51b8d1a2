"""Random recordings at an API that bills by any rule: what it bills never passes the budget, and nothing billed is lost."""

import random
from collections import Counter
from dataclasses import dataclass, field

import msgspec
import pytest
from evaltape.recorder import throttle
from evaltape.recorder.api import failures
from evaltape.recorder.api.client import Endpoint
from evaltape.recording import cassettes
from evaltape.samples.sample import Sample
from evaltape.suite.endpoint import Price

from tests.support.recording import Watched, sample_call
from tests.support.server import ApiServer
from tests.support.server.billing import ANSWER_LIMIT, FAULTS, USAGES, Biller
from tests.support.tuning import TuningProject

TIMEOUT_S = 0.25
WAITS = {"FIRST_BACKOFF_S": 0.005, "LONGEST_BACKOFF_S": 0.05, "PATIENCE_S": 3.0}
"""The recorder's own waits, shortened."""


@dataclass
class Bills:
    """What came of the sessions that were played."""

    sessions: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    stopped: int = 0
    """Sessions that the budget ended."""
    recorded: int = 0
    over_usd: float = 0.0
    """By how much a bill has passed its budget at most, as a multiple of that session's dearest answer."""


class Till:
    """Plays sessions, one after the other, at one server."""

    def __init__(self, project: TuningProject, api: ApiServer) -> None:
        self._project = project
        self._api = api
        self.bills = Bills()

    def play(self, seed: int) -> None:
        """Record samples at an API of random habits under a random budget, and assert what has to hold."""
        choose = random.Random(seed)
        tells = choose.choice(list(USAGES))
        biller = Biller(
            seed,
            usage=tells,
            share=choose.choice([0.0, 0.2, 0.5]),
            faults=tuple(choose.sample(sorted(FAULTS), choose.randint(0, 4))),
            too_large=choose.choice(["", "number 3 "]),
            # An API that tells no counts and keeps to no limit could bill anything: nobody can bound it.
            exceeds=choose.choice([1.0, 1.0, 20.0]) if tells in ("as OpenAI", "reasoning beside the answer") else 1.0,
            template=choose.choice([0, 20, 70]),
        )
        budget_usd = choose.choice([0.2, 1.0, 5.0, 50.0])
        recorder = self._record(seed, biller, choose.choice([1, 4, 16]), budget_usd)
        self._check(biller, recorder, budget_usd)

    def _record(self, seed: int, biller: Biller, concurrency: int, budget_usd: float) -> Watched:
        model = msgspec.structs.replace(
            self._project.loaded()[0].models["small"],
            key=f"m{seed}",
            price=Price(biller.price * 1e6, biller.price * 1e6),
            request={"max_completion_tokens": ANSWER_LIMIT},
        )
        samples = [Sample(f"s{n}", f"Ann: number {n} is out", ("out",)) for n in range(24)]
        self._api.forget()
        self._api.add_rule(biller)  # type: ignore[arg-type]
        recorder = Watched(concurrency, budget_usd)
        calls = [sample_call(recorder, self._project, model, sample) for sample in samples]
        recorder.add_lane(model, model.served, Endpoint(self._api.base_url, "", TIMEOUT_S), calls)
        recorder.run()
        self._paths = {call.body()["messages"][-1]["content"]: call.cassette for call in calls}
        return recorder

    def _check(self, biller: Biller, recorder: Watched, budget_usd: float) -> None:
        bills, spend = self.bills, recorder.budget.spend
        over_usd = biller.billed_usd - budget_usd
        bills.sessions += 1
        bills.calls += biller.sent
        bills.stopped += "doesn't cover another call" in (recorder.tally.stopped or "")
        recorded = {prompt for prompt, path in self._paths.items() if path.exists()}
        bills.recorded += len(recorded)
        if biller.dearest_usd:
            bills.over_usd = max(bills.over_usd, over_usd / biller.dearest_usd)
        assert over_usd <= biller.dearest_usd, f"billed {biller.billed_usd} of {budget_usd}: {biller}"
        if biller.exceeds == 1.0:
            assert over_usd <= 1e-9, f"billed {biller.billed_usd} of {budget_usd}: {biller}"
        assert biller.billed_usd <= spend.usd + spend.perhaps_usd + biller.dearest_usd, (spend, biller)
        assert len(recorder.budget.holds) == 0
        lost = biller.answered - recorded
        assert not lost, f"answered and billed, not recorded: {lost} {biller} {recorder.tally.notes}"
        assert all(len(cassettes.read(self._paths[prompt])) == 1 for prompt in recorded)
        assert biller.sent["too large"] <= 1, "a request that no wait makes smaller was sent again"


def shorten_waits(patch: pytest.MonkeyPatch) -> None:
    """Shorten the recorder's own waits; after a refusal the pace is soon high again."""
    for name, seconds in WAITS.items():
        patch.setattr(failures, name, seconds)
    patch.setattr(throttle, "PACE_PLATEAU", 100.0)
