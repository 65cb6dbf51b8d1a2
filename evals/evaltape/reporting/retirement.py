"""Retirement: which models the API will shut down, when, and what of them is not recorded while it still can be.

`GET /v1/models/ID` tells a model's `shutdown_date`, where the API knows the route and the field.
"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaltape.errors import UserError
from evaltape.suite.definition import Model
from evaltape.text import counted, visible

if TYPE_CHECKING:
    from evaltape.hooks.suite_run import SuiteRun

WITHIN_DAYS = 90


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


def near_ends(session: "SuiteRun") -> list[str]:
    """A line for each model that was recorded in this session and ends soon, with what is missing of it."""
    told = session.recorder.tally.notices if session.recorder else {}
    notices = {key: Notice(**notice) for key, notice in told.items()}
    return notice_lines(session, {key: notice for key, notice in notices.items() if notice.is_near})


def notice_lines(session: "SuiteRun", notices: Mapping[str, Notice]) -> list[str]:
    """A line for each notice, with how much of its model is not recorded, and the command that records it."""
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


def _missing(session: "SuiteRun", model: Model) -> tuple[int, int]:
    """How many samples are not recorded, of how many; of 0 where nothing of the suite is."""
    try:
        samples = session.samples
        return sum(not session.is_recorded(model, sample) for sample in samples), len(samples)
    except UserError:
        return 0, 0
