"""What campaigns have come to."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Findings:
    """Counts of one kind of fault. `lost`, `corrupt`, `beyond` and `hung` have to be 0."""

    faults: int = 0
    """Signals sent, disks taken away, requests answered wrongly or not at all."""
    sessions: int = 0
    """Sessions that were disturbed, or meant to be."""
    lost: int = 0
    """Samples without a recording at the end."""
    corrupt: int = 0
    """Files that are not whole, recordings and results that differ from those of an undisturbed run."""
    again: int = 0
    """Answers paid for although their sample had been answered before."""
    beyond: int = 0
    """How many of them were not in flight when their session was struck; jobs trained twice."""
    hung: int = 0
    """Sessions that missed their deadline."""
    problems: list[str] = field(default_factory=list)
    """Whatever was not as it has to be, in words."""

    @property
    def is_clean(self) -> bool:
        """Whether everything was as it has to be."""
        return not (self.problems or self.lost or self.corrupt or self.beyond or self.hung)

    def add(self, other: "Findings") -> None:
        """Add the counts of another campaign."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def report(self, problem: str) -> None:
        """Note what was not as it has to be."""
        self.problems.append(" ".join(problem.split())[-600:])


def table(rows: Iterable[tuple[str, Findings]]) -> str:
    """Return the findings by kind as a table in Markdown, with their sum."""
    lines = [
        "| fault | faults | sessions | lost | corrupt | paid again | of it not in flight | hung |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    total = Findings()
    for kind, found in rows:
        total.add(found)
        lines.append(_row(kind, found))
    return "\n".join([*lines, _row("**all**", total)])


def _row(kind: str, found: Findings) -> str:
    counts = (found.faults, found.sessions, found.lost, found.corrupt, found.again, found.beyond, found.hung)
    return f"| {kind} | {' | '.join(map(str, counts))} |"
