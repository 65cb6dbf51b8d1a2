"""What bounds on a judge's metric rest on: whether the judge may be relied on, and means corrected for its errors."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from evaltape.scoring.paired import Difference
from evaltape.scoring.statistics import Interval

if TYPE_CHECKING:
    from evaltape.scoring.paired_scores import Pair
    from evaltape.scoring.prediction import Prediction


class Ground(Protocol):
    """What is known of a judge, as bounds on its metric take it."""

    @property
    def refusal(self) -> str:
        """Why no bound may rest on it; empty if a bound may."""

    @property
    def standing(self) -> str:
        """What its numbers have to be shown with; empty for a judge that passed its exam."""

    def mean(
        self, metric: str, predictions: "Sequence[Prediction]", clusters: Sequence[str] | None
    ) -> tuple[Interval | None, str]:
        """Return the mean of a metric's scores corrected for the judge's errors, and a note on it.

        Without an interval the text says why nothing can be corrected.
        """

    def difference(
        self, metric: str, pairs: "Sequence[Pair]", confidence: float, clusters: Sequence[str] | None
    ) -> tuple[Difference | None, str]:
        """Return the mean difference of pairs, second less first, corrected likewise."""
