"""Six samples with good answers, for operators and gates that are checked by hand."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from evaltape.mutation.operators import BUILT_IN, Answers
from evaltape.mutation.study import SHARES


@dataclass(frozen=True)
class Sample:
    """A sample as operators see it."""

    id: str
    input: str
    references: tuple[str, ...] = ()
    columns: dict[str, Any] = field(default_factory=dict)


DIALOGUES = {
    "lift": ("Ann: my car broke down\nBob: I'll drive you on Friday\nAnn: thanks!", "Bob will drive Ann on Friday."),
    "keys": ("Carla: have you got my keys?\nDev: no\nCarla: oh no", "Dev doesn't have Carla's keys."),
    "film": ("Emil: cinema at 17:30?\nFay: yes!\nEmil: ok", "Emil and Fay meet at 17:30."),
    "cake": ("Gus: I baked twice\nHana: so I get two cakes?\nGus: you do", "Gus baked two cakes for Hana"),
    "rain": ("Ida: it rains again\nIda: third day", "Ida complains of the rain."),
    "memo": ("The office is closed.\nPlease work from home.", "Everybody works from home."),
}
"""By id the input and a good answer."""

SIX = [Sample(name, dialogue, (answer,)) for name, (dialogue, answer) in DIALOGUES.items()]
ANSWERS: Answers = [(sample, sample.references[0]) for sample in SIX]


def damaged(operator: str) -> dict[str, str]:
    """Return the mutant of each of the six answers that an operator applies to."""
    mutants = {sample.id: BUILT_IN[operator].apply(sample, answer, ANSWERS) for sample, answer in ANSWERS}
    return {name: mutant for name, mutant in mutants.items() if mutant is not None}


def damage(operator: str, answer: str, dialogue: str = "", sample_id: str = "s") -> str | None:
    """Return the mutant of one answer."""
    return BUILT_IN[operator].apply(Sample(sample_id, dialogue), answer, ANSWERS)


def all_damages(function: Any, *arguments: Any) -> set[str | None]:
    """Return whatever a function returns for a hundred seeds."""
    return {function(*arguments, Random(seed)) for seed in range(100)}


def share_by_counting(operator: str, lost: Mapping[int, float], allowed: float) -> float | None:
    """Decide every draw of an operator by adding up what each of its answers, by place, loses: no study, no numpy."""
    places = list(lost)
    for share in SHARES:
        count = max(1, math.floor(share * len(places) + 0.5))
        draws = [Random(f"42/{operator}/{draw}").sample(places, len(places))[:count] for draw in range(20)]
        if sum(math.fsum(lost[place] for place in drawn) > allowed for drawn in draws) >= 16:
            return share
    return None
