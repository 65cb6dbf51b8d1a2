"""What an API or the network does to a call. Many calls of one session each meet a fault of their own."""

import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from tests.support.faults.scene import SAMPLES, Scene, sample_of
from tests.support.server import FAULTS, Reply, completion, error
from tests.support.server.http import Asked
from tests.support.server.replies import Fault
from tests.support.server.server import CHAT, first_line

MODES = ("-p no:xdist", "-n 0", "-n 2")
TIMEOUT_S = 3
STRUCK = 24
"""Samples of a session whose calls meet a fault."""
MOVED = "/v1/moved/chat/completions"
WRONG = "This is the answer to something else."


def _completion(change: Callable[[Reply], Reply], text: str | None = None) -> Fault:
    def answer(asked: dict[str, Any]) -> Reply:
        return change(completion(asked, first_line(asked["messages"][-1]["content"]) if text is None else text))

    return answer


def _but(**changes: Any) -> Callable[[Reply], Reply]:
    return lambda reply: Reply(reply.body, **changes)


def _redirect(status: int) -> Reply:
    return Reply({}, status, headers={"location": MOVED})


TRUE: Mapping[str, Fault] = {
    "sent twice": FAULTS["echoed"],
    "trickled": _completion(_but(trickle_s=0.0005)),
    "late": FAULTS["late"],
    "compressed": _completion(_but(gzip=True)),
}
"""Oddities with which the right answer arrives all the same."""
KINDS: Mapping[str, Mapping[str, Fault]] = {
    "4xx": {
        **{name: FAULTS[name] for name in ("400", "401", "403", "404", "429 at once")},
        "408": error(408, "Request timeout"),
        "409": error(409, "Conflict"),
        "413": error(413, "Too large"),
        "422": error(422, "Unprocessable"),
    },
    "5xx": {
        **{name: FAULTS[name] for name in ("500", "502", "503", "html error")},
        "501": error(501, "Not implemented"),
        "504": error(504, "Gateway timeout"),
        "529": Reply("overloaded", 503, headers={"retry-after-ms": "20"}, content_type="text/plain"),
    },
    "reset before the call took effect": {
        "reset": FAULTS["reset"],
        "reset later": Reply(reset=True, delay_s=0.1),
    },
    "reset or error after the call took effect": {
        name: FAULTS[name] for name in ("lost", "504 though done", "html though done")
    },
    "hang": {
        "hang": FAULTS["hang"],
        "too late": _completion(_but(delay_s=60.0), WRONG),
        "effect, then a hang": Reply(lost=True, delay_s=60.0),
    },
    "trickle": {"endless": _completion(_but(trickle_s=0.2), WRONG), "trickled": TRUE["trickled"], "late": TRUE["late"]},
    "body that is cut or no answer": {
        "cut": _completion(_but(cut=True), WRONG),
        "cut and compressed": _completion(_but(cut=True, gzip=True), WRONG),
        **{name: FAULTS[name] for name in ("not json", "not a completion", "html")},
    },
    "redirect": {str(status): _redirect(status) for status in (301, 302, 303, 307, 308)},
    "answer sent twice on one connection": {"sent twice": TRUE["sent twice"], "compressed": TRUE["compressed"]},
}


class Script:
    """A rule of the server: which fault each sample's calls meet, in turn. It counts those that it served."""

    def __init__(self, faults: Mapping[str, list[tuple[str, Fault]]]) -> None:
        self._faults = {sample: list(reversed(left)) for sample, left in faults.items()}
        self.fault: Fault = Reply()
        self.served: list[tuple[str, Asked]] = []
        self.is_over = False

    def applies(self, asked: Asked) -> bool:
        """Whether something happens to this request."""
        left = self._faults.get(sample_of(asked)) if asked.path.endswith(CHAT) else None
        if self.is_over or not left:
            return False
        name, self.fault = left.pop()
        self.served.append((name, asked))
        return True

    def answered_wrongly(self) -> frozenset[int]:
        """The ids of the requests that got no right answer."""
        return frozenset(id(asked) for name, asked in self.served if name not in TRUE)


def script(rng: random.Random, faults: Mapping[str, Fault], times: Sequence[int]) -> Script:
    """Return which calls of a session meet which of these faults, and how many in a row each."""
    struck = rng.sample([f"p{number:03d}" for number in range(SAMPLES)], STRUCK)
    return Script({name: rng.choices(list(faults.items()), k=rng.choice(times)) for name in struck})


def strike(faults: Mapping[str, Fault], times: Sequence[int], here: Scene, rng: random.Random) -> None:
    """Record while calls meet faults, and finish."""
    scripted = script(rng, faults, times)
    here.api.add_rule(scripted)  # type: ignore[arg-type]
    here.end(here.start(rng.choice(MODES), "--concurrency", "32", "-o", f"eval_timeout_s={TIMEOUT_S}"))
    scripted.is_over = True
    here.findings.faults += len(scripted.served)
    here.settle(scripted.answered_wrongly())
    moved = [asked for asked in here.api.requests if asked.path == MOVED]
    if moved:
        here.findings.beyond += len(moved)
        here.findings.report(f"{len(moved)} calls followed a redirect")


SLOW = ("hang", "trickle")
OFTEN = (1, 1, 1, 1, 2, 2, 6)
"""Faults in a row for one sample: sometimes more than a call is tried."""
MIXED = {name: fault for kind, faults in KINDS.items() if kind not in SLOW for name, fault in faults.items()}
STRIKES = {kind: partial(strike, faults, (1,) if kind in SLOW else OFTEN) for kind, faults in KINDS.items()}
