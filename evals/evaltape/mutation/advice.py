"""What would notice a kind of damage that no gate notices: said in a sentence, for tests and tables."""

from typing import ClassVar

import msgspec

from evaltape.mutation.findings import MOST_DECIMALS, Noticing, OperatorStudy, Study
from evaltape.mutation.study import answers_at
from evaltape.scoring.bounds import AGAINST, MAX_DROP, MIN_GAIN, Bound
from evaltape.suite.definition import Model

DECIMALS = 4
NAMED = 3
"""How many bounds that are left out a message names."""
LEAST_WAY = 0.1
"""Of the way from the undamaged value to the bound: damage that moves a gate less asks for a bound that chance fails, too."""
OWN_METRIC = "it takes a metric of your own that sees it"


class TestedMutants(msgspec.Struct, frozen=True):
    """One kind of damage to a model's recorded answers, as the fixture `mutants` gives it to a test."""

    __test__: ClassVar[bool] = False
    model: Model
    """The model with the damaged answers."""
    operator: OperatorStudy
    """What its gates notice of an operator."""
    study: Study
    """What they notice of all."""

    def __repr__(self) -> str:
        return f"<{self.operator.operator} on {self.model.key}>"

    @property
    def noticed(self) -> bool:
        """Whether some gate notices the share that the suite asks for."""
        return self.operator.is_noticed(self.study.noticed_at)

    def __str__(self) -> str:
        start = f"{self.model.key} {self.operator.operator}"
        if not self.operator.answers:
            return f"{start}: there is no answer to damage. {_without_gates(self.study)}"
        at, applies_to = self.study.noticed_at, self.operator.applies_to
        share = f"{at:.0%} of the {applies_to} answers that it applies to ({answers_at(at, applies_to)})"
        later, advice = _noticed_later(self.operator), what_would_notice(self.operator, self.study)
        return f"{start}: no gate notices {share}{later}. {advice}"


def what_would_notice(operator: OperatorStudy, study: Study) -> str:
    """Return which gate comes nearest to noticing an operator at the share that counts, and the bound that would notice it."""
    nearest = operator.nearest(study.noticed_at)
    if nearest is None:
        return _without_gates(study)
    nearness = nearest.nearness(study.noticed_at)
    if nearness <= 0:
        return f"No gate moves towards its bound: {OWN_METRIC}"
    before, after = _differing(nearest.undamaged or 0.0, nearest.reached(study.noticed_at))
    way = f"from {before} to {after}, {nearness:.0%} of the way to its bound {nearest.bound.required:g}"
    return f"Nearest is {nearest.bound.title}, {way}: {_remedy(nearest, study.noticed_at)}"


def _remedy(nearest: Noticing, share: float) -> str:
    bound = nearest.bound_that_notices(share)
    if bound is None:
        return OWN_METRIC
    if nearest.nearness(share) < LEAST_WAY:
        return f"{_stated(nearest.bound, bound)} would notice it, but so near the mean chance fails it too; {OWN_METRIC}"
    return f"{_stated(nearest.bound, bound)} would notice it, or a metric of your own"


def _stated(bound: Bound, required: float) -> str:
    """Return how the suite file states a bound on the same that requires another number: `gates = { rougeL = 0.3 }`."""
    if not bound.is_paired:
        return f"{bound.suite_key} = {{ {bound.metric} = {required:g} }}"
    is_drop = required < 0 or bound.kind == AGAINST
    return f"{MAX_DROP if is_drop else MIN_GAIN} = {{ {bound.metric} = {abs(required):g} }}"


def _noticed_later(operator: OperatorStudy) -> str:
    gates = [each.bound.title for each in operator.noticing if each.share is not None and each.share == operator.share]
    return f"; {gates[0]} notices {operator.share:.0%}" if gates else ""


def _without_gates(study: Study) -> str:
    if not study.left_out:
        return "There is no gate: set one under gates"
    named = "; ".join(f"{each.bound.title}: {each.reason}" for each in study.left_out[:NAMED])
    more = len(study.left_out) - NAMED
    return f"No gate can be decided: {named}" + (f"; and {more} more" if more > 0 else "")


def _differing(before: float, after: float) -> tuple[str, str]:
    """Return two numbers with as many decimals as it takes to tell them apart."""
    for decimals in range(DECIMALS, MOST_DECIMALS):
        if f"{before:.{decimals}f}" != f"{after:.{decimals}f}":
            return f"{before:.{decimals}f}", f"{after:.{decimals}f}"
    return f"{before:.{MOST_DECIMALS}f}", f"{after:.{MOST_DECIMALS}f}"
