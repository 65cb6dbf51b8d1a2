"""What the API says of a model's end: `GET /v1/models/ID` has its `shutdown_date`, if the API knows the route and the field."""

import datetime

import msgspec

from evaltape.text import counted, visible

WITHIN_DAYS = 90


class Notice(msgspec.Struct, frozen=True):
    """What the API says of a model's end."""

    served: str
    """The name that was asked for; empty for a tuned model that no job has made yet."""
    date: str | None = None
    """As the API states it."""
    problem: str | None = None
    """Why it states no date."""

    @property
    def days(self) -> int | None:
        """Days that are left, under 0 when it is past; None without a valid date."""
        try:
            return (datetime.date.fromisoformat((self.date or "")[:10]) - datetime.date.today()).days
        except ValueError:
            return None

    @property
    def is_near(self) -> bool:
        """Whether it is so near that every recording warns of it."""
        return self.days is not None and self.days <= WITHIN_DAYS

    def in_short(self) -> str:
        """Return when the model ends, in a few words."""
        if self.date is None:
            return f"not stated{f' ({visible(self.problem)})' if self.problem else ''}"
        days = self.days
        if days is None:
            return f"shuts down on {visible(self.date)[:40]}"
        when = f"in {counted(days, 'day')}" if days > 0 else "today" if days == 0 else f"{counted(-days, 'day')} ago"
        return f"shuts down on {self.date[:10]}, {when}"
