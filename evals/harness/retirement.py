"""Retirement: which models the API will shut down, when, and what of them is not recorded while it still can be.

`GET /v1/models/ID` tells a model's `shutdown_date`, where the API knows the route and the field.
"""

import asyncio
import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evals.harness.endpoint import CallFailed, Endpoint, endpoint_of
from evals.harness.errors import RecordingError, UserError
from evals.harness.suite import Model
from evals.harness.text import counted, visible

if TYPE_CHECKING:
    from evals.harness.session import EvalSession

WITHIN_DAYS = 90
PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Notice:
    """What the API says of one model's end: the `date` as it states it, or None and perhaps the `problem`."""

    served: str
    date: str | None = None
    problem: str | None = None

    @property
    def days(self) -> int | None:
        """Days that are left, under 0 when it is past; None where no date is stated, or it is none."""
        try:
            return (datetime.date.fromisoformat((self.date or "")[:10]) - datetime.date.today()).days
        except ValueError:
            return None

    @property
    def is_near(self) -> bool:
        """Whether it is so near that every recording warns of it."""
        return self.days is not None and self.days <= WITHIN_DAYS

    def in_short(self) -> str:
        """When the model ends, in a few words."""
        if self.date is None:
            return f"not stated{f' ({visible(self.problem)})' if self.problem else ''}"
        days = self.days
        if days is None:
            return f"shuts down on {visible(self.date)[:40]}"
        when = f"in {counted(days, 'day')}" if days > 0 else "today" if days == 0 else f"{counted(-days, 'day')} ago"
        return f"shuts down on {self.date[:10]}, {when}"


async def ask(endpoint: Endpoint, served: str) -> Notice:
    """Ask the API for a model's end. Whatever goes wrong is a notice with its problem."""
    retrieve = endpoint.client.models.with_raw_response.retrieve
    try:
        exchange, _ = await asyncio.wait_for(endpoint.call(lambda: retrieve(served)), PATIENCE_S)
        told = exchange.answered
        if not isinstance(told, dict):
            return Notice(served, problem="the answer describes no model")
        return Notice(served, str(told["shutdown_date"]) if told.get("shutdown_date") else None)
    except CallFailed as failure:
        return Notice(served, problem=None if failure.status in (404, 405, 501) else failure.message)
    except TimeoutError:
        return Notice(served, problem=f"no answer within {PATIENCE_S:g} s")
    except Exception as error:  # It is a question by the way; nothing may fail for it.
        return Notice(served, problem=type(error).__name__)


def ask_all(session: "EvalSession") -> list[str]:
    """Ask for every model of the suite, and tell it a line each. Raises `UserError` where there is no key for one."""
    models = session.suite.models
    asked = [(_served(session, model), endpoint_of(model, PATIENCE_S)) for model in models.values()]
    return _told(session, dict(zip(models, asyncio.run(_ask_each(asked)), strict=True)))


def near_ends(session: "EvalSession") -> list[str]:
    """A line for each model that was recorded in this session and ends soon, with what is missing of it."""
    told = session.recorder.tally.notices if session.recorder else {}
    notices = {key: Notice(**notice) for key, notice in told.items()}
    return _told(session, {key: notice for key, notice in notices.items() if notice.is_near})


async def _ask_each(asked: Iterable[tuple[str, Endpoint]]) -> list[Notice]:
    async def one(served: str, endpoint: Endpoint) -> Notice:
        try:
            return await ask(endpoint, served) if served else Notice("", problem="its job is not recorded")
        finally:
            await endpoint.close()

    return list(await asyncio.gather(*(one(served, endpoint) for served, endpoint in asked)))


def _served(session: "EvalSession", model: Model) -> str:
    """The name to ask for; empty for a tuned model that there is none of yet."""
    try:
        return session.jobs.served(model)
    except (RecordingError, UserError):
        return ""


def _told(session: "EvalSession", notices: Mapping[str, Notice]) -> list[str]:
    lines, kinds = [], []
    for key, notice in notices.items():
        model = session.suite.models[key]
        missing, total = _missing(session, model)
        samples = counted(total, "sample") if total else "samples"
        recorded = f"all {samples} recorded" if not missing else f"{missing:,} of {samples} not recorded"
        name = key if notice.served in ("", key) else f"{key} ({visible(notice.served)})"
        lines.append(f"{name}: {notice.in_short()}; {recorded if total else 'nothing of it is recorded'}")
        if missing or not total:
            kinds.append(model.kind)
    commands = [session.commands.record_all(kind, missing=True) for kind in dict.fromkeys(kinds)]
    return lines + [f"Record what is missing: {command}" for command in commands]


def _missing(session: "EvalSession", model: Model) -> tuple[int, int]:
    """How many samples are not recorded, of how many; of 0 where nothing of the suite is."""
    try:
        samples = session.samples
        return sum(not session.is_recorded(model, sample) for sample in samples), len(samples)
    except UserError:
        return 0, 0
