"""The results of a session: its findings about each suite, with the `model_results` of its models and judges.

Everything that terminal, Markdown, report and results file show is made of these. `hooks.collect` builds them; nothing here
knows a session. Numbers are exact; they are rounded only when shown.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from evaltape.findings import GateTest
from evaltape.metrics.metric import Metric
from evaltape.recorder.wire import Spend
from evaltape.reporting.model_results import AgainstResults, JobResults, JudgeResults, ModelResults, PairResults
from evaltape.samples.sample import Sample
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.references import Outvoted
from evaltape.scoring.scores import ModelScores
from evaltape.suite.commands import Commands
from evaltape.suite.prompt import PromptChange

if TYPE_CHECKING:  # Only some runs need them.
    from evaltape.against.history import Moment
    from evaltape.mutation.model_mutants import ModelMutants


class Cause(msgspec.Struct, frozen=True):
    """Why samples failed: a cause for all that failed alike."""

    text: str
    """With the number first: `80 recordings are of another prompt`."""
    command: str | None
    """The remedy, to be pasted into a shell; None if nothing does."""
    predictions: tuple[tuple[str, str], ...]
    """The samples, as (model, sample)."""
    cost: str = ""
    """The cost of the command, and the free way, as `costs 6 calls`; empty for a command that calls nothing."""
    prompt: PromptChange | None = None
    """Both prompts of a sample, where the prompts differ."""


class SuiteResults(msgspec.Struct, frozen=True):
    """A suite: the session's findings about its models."""

    name: str
    mode: str
    """`replay`, `record` or `record-missing`."""
    metrics: Mapping[str, Metric]
    """By name, in the order of the suite; `words` last if the suite doesn't name it."""
    models: Mapping[str, ModelResults]
    """The models that were looked at, by key, in the order of the suite."""
    samples: Mapping[str, Sample]
    """The samples that were looked at, by id, in their order."""
    commands: Commands
    shown_beside: tuple[str, ...] = ()
    """The metrics that the suite doesn't name: `words`, and corrected means of judges."""
    slices: tuple[str, ...] = ()
    test_ids: Mapping[tuple[str, str], str] = {}
    """By model and sample the id of a test of it, to run again, where a test was collected."""
    unseen_gates: int = 0
    """How many gates models have that the session didn't look at."""
    computed: Mapping[str, ModelScores] = {}
    """Scores that cost nothing, on the same samples, by name: `first three lines`."""
    jobs: Mapping[str, JobResults] = {}
    """The recorded jobs of the tuned models that were looked at, by key."""
    judges: Mapping[str, JudgeResults] = {}
    comparisons: Mapping[str, PairResults] = {}
    """The comparisons of which the run looked at both models, by name."""
    against: AgainstResults | None = None
    """The models beside another commit's, with `--against`."""
    history: "Mapping[str, Sequence[Moment]]" = {}
    """By model its moments at earlier commits, oldest first, with `--history`."""
    references: tuple[Outvoted, ...] = ()
    """The references that models agree against, for the files that show them."""
    mutants: Mapping[str, "ModelMutants"] = {}
    tests: Mapping[str, GateTest] = {}
    """The gates that users wrote, by test id."""
    lost: int = 0
    """How many samples a test failed for because it had no answer, or ended before it asked."""
    other_failures: int = 0
    """Failed tests of the suite that nothing else here stands for: on single samples that were answered, on jobs."""
    causes: tuple[Cause, ...] = ()
    orphans: tuple[str, ...] = ()
    """Recordings of no model or sample of the suite: paths as a person would type them."""
    retirements: tuple[str, ...] = ()
    """Lines on models that were recorded and end soon."""
    left: tuple[str, ...] = ()
    """Lines on the calls that a recording which stopped early has left, by kind of model."""
    notes: tuple[str, ...] = ()
    """Notes for the user of the suite's data."""

    @property
    def predictions(self) -> list[Prediction]:
        """The predictions that were looked at, by model and sample."""
        return [each for model in self.models.values() for each in model.scores.predictions]

    @property
    def named_metrics(self) -> list[Metric]:
        """The metrics that the suite names."""
        return [metric for name, metric in self.metrics.items() if name not in self.shown_beside]

    @property
    def pairs(self) -> list[PairResults]:
        """The comparisons, then the models beside another commit's."""
        return [*self.comparisons.values(), *(self.against.models.values() if self.against else ())]

    @property
    def acceptance(self) -> str | None:
        """The command that accepts the changed scores; None if no score changed."""
        tests = [model.accepted.test for model in self.models.values() if model.can_be_accepted and model.accepted]
        return self.commands.accept(tests) if tests else None

    @property
    def described(self) -> Mapping[str, Mapping[str, Any]]:
        """How each metric is computed: package, tokenizer, settings; and how to take a judge that hasn't passed its exam."""
        samples = list(self.samples.values())
        standings = {name: it.examined.standing for it in reversed(list(self.judges.values())) for name in it.metrics}
        standing = {name: {"standing": told} for name, told in standings.items() if told}
        return {name: {**metric.describe(samples), **standing.get(name, {})} for name, metric in self.metrics.items()}

    @property
    def mutant_tables(self) -> Mapping[str, Any]:
        """By model and operator the smallest share of damage that each gate notices."""
        return {key: each.study.as_result() for key, each in self.mutants.items()}


class Results(msgspec.Struct, frozen=True):
    """The results of a session."""

    suites: Mapping[str, SuiteResults]
    """By name, in the order of the session."""
    is_red: bool = False
    """Whether the session fails: its exit code isn't 0."""
    other_failures: int = 0
    """Failed tests that are no suite's."""
    spend: Spend = msgspec.field(default_factory=Spend)
    """The cost of the session's own calls."""
    budget_usd: float | None = None
    stopped: str | None = None
    """Why a recording ended early; None if it didn't, or if nothing was recorded."""
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[SuiteResults]:
        return iter(self.suites.values())

    @property
    def is_empty(self) -> bool:
        """Whether no sample was looked at."""
        return not any(suite.predictions for suite in self)
