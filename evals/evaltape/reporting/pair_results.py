"""What a session found out about pairs: a candidate beside a baseline, a model beside its past."""

from collections.abc import Mapping

import msgspec

from evaltape.scoring.bounds import Decision
from evaltape.scoring.paired import Difference
from evaltape.suite.prompt import PromptChange


class SliceDifference(msgspec.Struct, frozen=True):
    """A comparison on the samples that share a column's value: shown, never asserted."""

    column: str
    """The column."""
    value: str
    """The value, as text."""
    metrics: Mapping[str, Difference]
    """Per metric that the comparison bounds, if there is a pair."""


class ComparisonResults(msgspec.Struct, frozen=True):
    """One comparison of two models that the session looked at."""

    name: str
    """Its key in the suite."""
    baseline: str
    """The key of the model that is compared with."""
    candidate: str
    """The key of the model that is judged."""
    confidence: float
    """One-sided."""
    label: str
    """The two-sided confidence of its intervals, such as `90%`."""
    metrics: Mapping[str, Decision]
    """Per metric that it bounds."""
    beside: Mapping[str, Difference] = {}
    """The suite's other metrics, shown beside them."""
    slices: tuple[SliceDifference, ...] = ()
    """The same by slice, if the suite names slices."""


class AgainstModel(msgspec.Struct, frozen=True):
    """One model beside its recording at another commit."""

    metrics: Mapping[str, Decision]
    """Per metric that the suite bounds the difference, now less then."""
    beside: Mapping[str, Difference] = {}
    """The suite's other metrics, of which both sides have scores."""
    added: int = 0
    """Samples that are only there now."""
    dropped: int = 0
    """Samples that were only there then."""
    changed: int = 0
    """Samples with another input or other references."""
    why: str = ""
    """Why it isn't compared; empty if it is."""
    is_unchanged: bool = False
    """Whether every sample that both sides have was asked and answered alike, and every bound passed: a line says it all."""
    prompt: PromptChange | None = None
    """Both prompts of a sample, where the prompt changed."""


class AgainstPair(msgspec.Struct, frozen=True):
    """A model's answers to a sample, then and now."""

    model: str
    """The model's key."""
    sample: str
    """The sample's id."""
    before: str
    """The answer at the other commit."""
    after: str
    """The answer now."""
    scores: Mapping[str, tuple[float, float]]
    """Per metric that scored both: (before, after)."""


class AgainstResults(msgspec.Struct, frozen=True):
    """The suite's models beside their recordings at another commit."""

    ref: str
    """What `--against` was given."""
    commit: str
    """The commit that was read; empty for a folder."""
    label: str
    """The two-sided confidence of its intervals, such as `90%`."""
    models: Mapping[str, AgainstModel]
    """By key."""
    pairs: tuple[AgainstPair, ...] = ()
    """Every sample that both sides answered, for the report."""
    notes: tuple[str, ...] = ()
    """What a reader should know: models that are new or gone, samples that changed."""
