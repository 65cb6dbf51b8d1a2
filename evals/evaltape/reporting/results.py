"""The results of a session: of its suites, of their models, of a model beside another or its own past, of jobs and judges.

Everything that terminal, Markdown, report and results file show is made of these. They hold the frozen values of scoring that
tests rest on. `hooks.collect` builds them; nothing here knows a session. Numbers are exact; they are rounded only when shown.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from evaltape.findings import Accepted, GateTest, verdict_on
from evaltape.finetuning.recorded_job import Job
from evaltape.metrics.metric import Metric
from evaltape.recorder.wire import Spend
from evaltape.recording.unfinished import ToCome
from evaltape.samples.sample import Sample, Usage
from evaltape.scoring.bounds import AGAINST, FAILED, NOT_CHECKED, Decision, Verdict
from evaltape.scoring.noise import Noise
from evaltape.scoring.paired import Difference, two_sided
from evaltape.scoring.paired_scores import AgainstScores, Pair, PairedScores, Side
from evaltape.scoring.prediction import Prediction, RecordingDates, recording_dates
from evaltape.scoring.references import Outvoted
from evaltape.scoring.scores import ModelScores, why_unscored
from evaltape.scoring.slices import SliceScores
from evaltape.scoring.statistics import Interval
from evaltape.suite.commands import Commands
from evaltape.suite.cost import batch_price, call_usd, training_usd
from evaltape.suite.definition import Finetune
from evaltape.suite.prompt import PromptChange

if TYPE_CHECKING:  # Only some runs need them.
    from evaltape.against.history import Moment
    from evaltape.judging.exam import Examined
    from evaltape.mutation.model_mutants import ModelMutants


class ModelResults(msgspec.Struct, frozen=True, dict=True):
    """A model under test, on the samples that the session looked at."""

    slices: SliceScores
    """Its scores, whole and by slice."""
    of: int
    """How many samples the suite has."""
    gates: Mapping[str, Decision]
    slice_gates: Mapping[str, Decision] = {}
    accepted: Accepted | None = None
    """None if no test looked at its accepted scores."""
    noise: Mapping[str, Noise] = {}
    """Per metric, if samples were asked repeatedly."""
    unfinished: ToCome | None = None
    """A fresh recording that isn't complete; its gates fail until it is."""

    @property
    def scores(self) -> ModelScores:
        """Its predictions with their scores."""
        return self.slices.scores

    @property
    def means(self) -> Mapping[str, Interval]:
        """Per metric that scored a sample, and per corrected mean that a gate asks for."""
        return {**self.scores.intervals, **self.scores.corrected_intervals}

    @property
    def failures(self) -> Mapping[str, str | None]:
        """The failed samples with their reasons."""
        return {one.sample.id: one.failure for one in self.scores.failures}

    @property
    def unscored(self) -> Mapping[str, Mapping[str, str]]:
        """Per metric the answered samples that it couldn't score, with the reasons."""
        return {name: reasons for name in self.scores.metrics if (reasons := why_unscored(self.scores, name))}

    @property
    def too_many_failed(self) -> bool:
        """Whether its gates fail for its failed samples alone."""
        return len(self.scores.failures) > self.scores.model.allow_failed

    @property
    def can_be_accepted(self) -> bool:
        """Whether its scores differ from the accepted scores, and its recording is complete and answered."""
        differs = self.accepted is not None and self.accepted.passed is False
        return differs and bool(self.means) and not self.too_many_failed and self.unfinished is None

    @cached_property
    def dates(self) -> RecordingDates:
        """The days of its calls, and every model that the API says it served."""
        return recording_dates(self.scores.predictions)

    @property
    def recorded(self) -> tuple[str, str] | None:
        """The days of its first and its last recorded call, such as `2026-11-24`; None if the recordings don't say."""
        return (self.dates.first, self.dates.last) if self.dates.first and self.dates.last else None

    @property
    def served(self) -> str:
        """The name that the API says it served: of most answers if they differ."""
        versions = self.dates.versions
        return max(versions, key=lambda each: each.answers).name if versions else self.scores.model.served

    @property
    def versions(self) -> Mapping[str, int]:
        """Every such name with the number of answers, if it changed while it was recorded; empty for a single one."""
        versions = self.dates.versions
        return {each.name: each.answers for each in versions} if len(versions) > 1 else {}

    @property
    def usage(self) -> Usage:
        """The tokens of all recorded answers."""
        usages = [one.answer.usage for one in self.scores.predictions]
        return Usage(sum(it.prompt_tokens for it in usages), sum(it.completion_tokens for it in usages))

    @property
    def cost_usd(self) -> float | None:
        """The cost of the recorded calls by today's price; None without a price."""
        price, answers = self.scores.model.price, [one.answer for one in self.scores.predictions]
        if price is None:
            return None
        priced = ((it.usage, batch_price(price) if it.came else price) for it in answers)
        return sum(call_usd(price, usage.prompt_tokens, usage.completion_tokens) for usage, price in priced)

    def slice_verdicts(self, metric: str) -> dict[tuple[str, str], Verdict]:
        """Return the verdict of a slice gate on each slice, by column and value, that is large enough."""
        gate = self.slice_gates.get(metric)
        if gate is None:
            return {}
        # Where the gate fails for other reasons nothing passed it.
        is_decided = gate.outcome is not None and not self.scores.unusable(metric)
        decided = {(it.column, it.value): it.verdict for it in self.slices.decided(gate.bound)}
        return {at: verdict if is_decided or verdict == FAILED else NOT_CHECKED for at, verdict in decided.items()}

    @property
    def noise_beside_gates(self) -> Mapping[str, Mapping[str, object]]:
        """The noise of each mean by the results file's names, and its effect on the suite's gate, if any."""
        names = {**{it: it for it in ("runs", "samples", "of", "mean", "sd", "smallest_drop")}, "gate_1_in_100": "gate"}
        facts: dict[str, dict[str, object]] = {}
        for metric, noise in self.noise.items():
            facts[metric] = {name: getattr(noise, attribute) for name, attribute in names.items()}
            if metric in self.gates:
                gate = self.gates[metric].bound.limit
                chance, inside = noise.chance_to_fail(gate), noise.holds_inside(gate)
                facts[metric] |= {"chance_to_fail_gate": chance, "gate_inside_noise": inside}
        return facts


class JobResults(msgspec.Struct, frozen=True):
    """A recorded fine-tuning job."""

    order: Finetune
    job: Job

    @property
    def cost_usd(self) -> float | None:
        """Its cost by the suite's price; None without a price for training, or if the API tells no number of tokens."""
        tokens = self.job.trained_tokens
        return None if tokens is None else training_usd(self.order.price, tokens)


class PairResults(msgspec.Struct, frozen=True):
    """A comparison of two models, or of a model with its past, that the session looked at."""

    scores: PairedScores
    """Both sides on the samples that both answered."""
    metrics: Mapping[str, Decision]
    """Per metric that the suite bounds the difference."""

    @property
    def label(self) -> str:
        """The two-sided confidence of its intervals, such as `90%`."""
        return two_sided(self.scores.comparison.confidence)

    @property
    def beside(self) -> Mapping[str, Difference]:
        """The differences of the suite's other metrics, if both sides have scores."""
        return {name: found for name, found in self.scores.differences.items() if name not in self.metrics}

    def named(self, metric: str) -> str:
        """Return the name of a bound in sentences: `tuning-helps rouge1`, `gpt-4o-mini rouge1 against main`."""
        bound = self.metrics[metric].bound
        return f"{bound.subject} {metric}{f' against {self.scores.comparison.baseline}' if bound.kind == AGAINST else ''}"


class AgainstModel(PairResults, frozen=True):
    """A model beside its recording at another commit."""

    scores: AgainstScores
    """The model then and now, on the samples that both have."""

    @property
    def counts(self) -> Mapping[str, int]:
        """How many samples can't be compared: added, dropped, changed."""
        return {kind: len(ids) for kind, ids in msgspec.structs.asdict(self.scores.samples).items()}

    @property
    def is_unchanged(self) -> bool:
        """Whether every common sample was asked and answered alike, and every bound passed: a line says it all."""
        return self.scores.is_the_same and all(each.passed for each in self.metrics.values())

    @property
    def is_told_in_notes(self) -> bool:
        """Whether the notes say everything: nothing is compared, or nothing changed."""
        return bool(self.scores.not_compared) or self.is_unchanged


class AgainstResults(msgspec.Struct, frozen=True):
    """The suite's models beside their recordings at another commit."""

    side: Side
    """The other side: the commit or the folder that `--against` names."""
    models: Mapping[str, AgainstModel]
    notes: tuple[str, ...] = ()
    """Notes for a reader: models that are new or gone, samples that changed."""

    @property
    def pairs(self) -> list[Pair]:
        """Every sample that both sides answered, by model."""
        return [pair for model in self.models.values() for pair in model.scores.pairs]


class Flips(msgspec.Struct, frozen=True):
    """How often a judge contradicts itself on an answer."""

    share: float
    """The differing pairs of verdicts on the same answer."""
    answers: int
    verdicts: int
    """The most verdicts on an answer."""


class JudgeResults(msgspec.Struct, frozen=True):
    """A judge."""

    key: str
    asked: int
    """How many answers that the session looked at have a recorded verdict."""
    unread: int
    examined: "Examined"
    metrics: tuple[str, ...] = ()
    missing: tuple[tuple[str, str], ...] = ()
    """The answers without a valid verdict, as (model, sample)."""
    flips: Flips | None = None
    """None unless answers were judged repeatedly."""
    cost_usd: float | None = None
    """The cost of the verdicts by the suite's price; None without a price."""

    @property
    def passed(self) -> bool | None:
        """Whether it passed its exam; None for a judge without an exam."""
        return self.examined.passed if self.examined.decisions else None

    @property
    def verdict(self) -> Verdict:
        """`passed`, `failed` or `not checked`."""
        return verdict_on(self.passed)


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
