"""A metric of the user's: a function of sample and answer, called once per answered sample."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from evaltape.metrics.functions import UserFunction
from evaltape.metrics.limits import Limits, is_within, spelled
from evaltape.metrics.scorer import CallFacts, FunctionError, Sample, Unscored


class FunctionScores(msgspec.Struct, frozen=True):
    """The scorer of a function of the user's."""

    name: str
    function: UserFunction
    bounds: Limits

    def score(self, sample: Sample, answer: str, call: CallFacts) -> Mapping[str, float]:
        """Return the function's score. Raises `Unscored` with its file and line if that is no score, or if it raises."""
        try:
            value = self.function.number(sample, answer)
            if not is_within(value, self.bounds):
                raise self.function.wrong(value, f"outside its bounds: {spelled(self.bounds)}")
        except FunctionError as error:
            raise Unscored(f"{error} (sample {sample.id})") from None
        return {self.name: value}

    def describe(self, name: str, samples: Sequence[Sample]) -> dict[str, Any]:
        """Return the function's name as the suite spells it, and its bounds if they were declared."""
        bounds = {} if self.bounds == (None, None) else {"bounds": list(self.bounds)}
        return {"function": self.function.name, **bounds}
