"""The results of a session: the findings of its tests, as records and as the results file's JSON.

Everything that terminal, Markdown and report show is made of these, and so is the results file. `hooks.collect` builds them;
nothing here knows a session. Numbers are exact; they are rounded only when shown.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from evaltape.files import write_output
from evaltape.findings import GateTest
from evaltape.metrics.metric import Metric
from evaltape.recorder.wire import Spend
from evaltape.reporting.subjects import (
    AgainstModel,
    AgainstResults,
    Computed,
    JobResults,
    JudgeResults,
    ModelResults,
    PairResults,
)
from evaltape.samples.sample import Sample
from evaltape.scoring.bounds import AGAINST, NOT_CHECKED, Decision
from evaltape.scoring.paired import Difference
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.references import Outvoted
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


class Retirement(msgspec.Struct, frozen=True):
    """A model that the API will shut down, or did."""

    text: str
    """Which model, when, and how much of it is not recorded."""
    command: str | None = None
    """The command that records the rest; None if all of it is recorded."""


class LeftOver(msgspec.Struct, frozen=True):
    """Calls that a recording left out, for it stopped early."""

    calls: int
    """How many calls."""
    most_usd: float
    """An upper bound of their cost; 0 if it can't be given."""
    command: str
    """The command that makes them."""


class SuiteResults(msgspec.Struct, frozen=True):
    """A suite: the session's findings about its models."""

    name: str
    """The suite's name."""
    mode: str
    """`replay`, `record` or `record-missing`."""
    metrics: Mapping[str, Metric]
    """By name, in the order of the suite; `words` last if the suite doesn't name it."""
    models: Mapping[str, ModelResults]
    """The models that were looked at, by key, in the order of the suite."""
    samples: Mapping[str, Sample]
    """The samples that were looked at, by id, in their order."""
    predictions: tuple[Prediction, ...]
    """The predictions that were looked at, by model and sample."""
    commands: Commands
    """Writes the commands that messages end with."""
    shown_beside: tuple[str, ...] = ()
    """The metrics that the suite doesn't name: `words`, and corrected means of judges."""
    slices: tuple[str, ...] = ()
    """The columns that samples are scored apart by."""
    test_ids: Mapping[tuple[str, str], str] = {}
    """By model and sample the id of a test of it, to run again, where a test was collected."""
    unseen_gates: int = 0
    """How many gates models have that the session didn't look at."""
    computed: Mapping[str, Computed] = {}
    """Scores that cost nothing, on the same samples, by name: `first three lines`."""
    jobs: Mapping[str, JobResults] = {}
    """The recorded jobs of the tuned models that were looked at, by key."""
    judges: Mapping[str, JudgeResults] = {}
    """The suite's judges, by key."""
    comparisons: Mapping[str, PairResults] = {}
    """The comparisons of which the run looked at both models, by name."""
    against: AgainstResults | None = None
    """The models beside another commit's, with `--against`."""
    history: "Mapping[str, Sequence[Moment]]" = {}
    """By model its moments at earlier commits, oldest first, with `--history`."""
    references: tuple[Outvoted, ...] = ()
    """The references that models agree against, for the files that show them."""
    mutants: Mapping[str, "ModelMutants"] = {}
    """By model, with `--mutate`."""
    tests: Mapping[str, GateTest] = {}
    """The gates that users wrote, by test id."""
    lost: int = 0
    """How many samples a test failed for because it had no answer, or ended before it asked."""
    other_failures: int = 0
    """Failed tests of the suite that nothing else here stands for: on single samples that were answered, on jobs."""
    causes: tuple[Cause, ...] = ()
    """Why samples failed."""
    orphans: tuple[str, ...] = ()
    """Recordings of no model or sample of the suite: paths as a person would type them."""
    retirements: tuple[Retirement, ...] = ()
    """Models that were recorded and end soon."""
    left: tuple[LeftOver, ...] = ()
    """Calls that a recording left out, by kind of model."""
    notes: tuple[str, ...] = ()
    """Notes for the user of the suite's data."""

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
    def descriptions(self) -> Mapping[str, Mapping[str, Any]]:
        """The grounds of each metric's scores: package, tokenizer, settings."""
        samples = list(self.samples.values())
        return {name: metric.describe(samples) for name, metric in self.metrics.items()}

    @property
    def described(self) -> Mapping[str, Mapping[str, Any]]:
        """The same, and how to take the numbers of a judge that hasn't passed its exam."""
        standings = {name: it.examined.standing for it in reversed(list(self.judges.values())) for name in it.metrics}
        standing = {name: {"standing": told} for name, told in standings.items() if told}
        return {name: {**described, **standing.get(name, {})} for name, described in self.descriptions.items()}

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
    """The value of `--budget`."""
    stopped: str | None = None
    """Why a recording ended early; None if it didn't, or if nothing was recorded."""
    notes: tuple[str, ...] = ()
    """The recorder's notes."""

    def __iter__(self) -> Iterator[SuiteResults]:
        """Yield each suite's results."""
        return iter(self.suites.values())

    @property
    def is_empty(self) -> bool:
        """Whether no sample was looked at."""
        return not any(suite.predictions for suite in self)


# ---------------------------------------------------------------- the results file


Json = dict[str, Any]
VERSION = 2
LONE_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half a character, which JSON can hold and UTF-8 can't: models write it."""
FIELDS: Mapping[str, str] = {
    "SuiteResults": "mode metrics=described models computed jobs judges? comparisons against? "
    "history? references? mutants?=mutant_tables tests predictions",
    "ModelResults": "served kind samples failed failures truncated recorded scores gates versions?=several_versions unscored? "
    "slices? slice_gates? accepted? noise?=noise_beside_gates unfinished? usage cost_usd",
    "Interval": "mean low high scored=samples clusters?",
    "Difference": "difference=mean low high samples clusters?",
    "Slice": "samples failed gated=is_gated scores",
    "Accepted": "verdict passed changes=both",
    "ToCome": "to_come selected",
    "Usage": "prompt_tokens completion_tokens",
    "Computed": "samples scores",
    "JobResults": "id=job.id status=job.status tuned_model=job.tuned_model trained_tokens=job.trained_tokens cost_usd",
    "Moment": "commit=commit.id day=commit.day samples=answered scores=means falls? unread?=reason",
    "Fall": "difference=found.mean low=found.low high=found.high smallest_drop?",
    "Outvoted": "sample models agreement to_reference",
    "Fragility": "samples ids becomes",
    "Flips": "share answers verdicts",
    "AgainstResults": "ref commit models",
    "GateTest": "model verdict passed",
}
"""By type its keys, each with its attribute if that has another name. Nothing is held at `a.b` where `a` is None; a key with
`?` is left out where nothing is held."""
GATE = "threshold=bound.limit verdict fragility passed=outcome"
COMPARED = "verdict fragility passed=outcome confidence=bound.confidence"
"""Of a decision on a mean, and on a difference beside the difference itself."""
ALARMS = "alarms=alarms.mean alarms_harmless=harmless.mean"
AGREEMENT = (
    "labels kappa=kappa.value low=kappa.low high=kappa.high sensitivity=sensitivity.mean specificity=specificity.mean "
    "agreed commonest people_kappa=people.value"
)
"""Of a judge's exam."""


def write_results(results: Results, path: Path) -> None:
    """Write the results file, whole or not at all. Raises `OSError` if it can't be written."""
    text = json.dumps(results_json(results), indent=1, ensure_ascii=False, allow_nan=False)
    write_output(path, LONE_SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", text) + "\n")


def results_json(results: Results) -> Json:
    """Return the content of the results file, as builtins: no number in it is infinite or NaN."""
    return {"version": VERSION, "suites": {suite.name: written(suite) for suite in results if suite.predictions}}


def written(value: Any) -> Any:
    """Return a part of the results as the file holds it."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {key: written(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [written(item) for item in value]
    if isinstance(value, Decision):
        return compared(value) if value.bound.is_paired else fields(value, GATE)
    if isinstance(value, Prediction):
        return _prediction(value)
    if isinstance(value, JudgeResults):
        return _judge(value)
    if isinstance(value, AgainstModel):
        return _against(value)
    if isinstance(value, PairResults):
        return written(value.metrics)
    return fields(value, FIELDS[type(value).__name__])


def difference(found: Difference | None) -> Json:
    """Return a mean difference with its interval; None: there is no pair."""
    return {"difference": None, "low": None, "high": None, "samples": 0} if found is None else written(found)


def compared(decision: Decision) -> Json:
    """Decide a bound on a difference."""
    told = {**difference(decision.difference), **fields(decision, COMPARED)}
    return {key: item for key, item in told.items() if key != "confidence"} if decision.bound.kind == AGAINST else told


def fields(value: Any, names: str) -> Json:
    """Return some attributes of a value as the file holds them; `names` are written as in `FIELDS`."""
    return dict(_fields(value, names))


def _fields(value: Any, names: str) -> Iterator[tuple[str, Any]]:
    for field in names.split():
        key, _, attribute = field.partition("=")
        name = key.rstrip("?")
        held = reduce(_held, (attribute or name).split("."), value)
        if not key.endswith("?") or (held is not None and held not in ({}, (), "")):
            yield name, written(held)


def _held(value: Any, attribute: str) -> Any:
    return None if value is None else getattr(value, attribute)


def _judge(judge: JudgeResults) -> Json:
    told = fields(judge, "asked unread unexamined=examined.judge.unexamined flips?")
    exam = {} if judge.examined.judge.exam is None else {"exam": _exam(judge)}
    return {**told, **exam, **fields(judge, "cost_usd")}


def _exam(judge: JudgeResults) -> Json:
    found, facts = judge.examined, fields(judge, "asked=examined.asked verdict passed")
    if found.not_examined:
        return {**facts, **fields(found, "not_examined")}
    if found.marks is not None:
        noticed = {name: share.mean for name, share in found.marks.noticed.items()}
        facts |= {**fields(found, "unread"), "noticed": noticed, **fields(found.marks, ALARMS)}
    if found.agreement is not None:
        facts |= {**fields(found.agreement, AGREEMENT), **fields(found, "second_kappa=oneself.value")}
    return facts


def _against(model: AgainstModel) -> Json:
    unbounded = {"verdict": NOT_CHECKED, "fragility": None, "passed": None}
    rows = {metric: compared(each) for metric, each in model.metrics.items()}
    rows |= {metric: {**difference(each), **unbounded} for metric, each in model.beside.items()}
    return {metric: {**row, **model.counts} for metric, row in rows.items()}


def _prediction(prediction: Prediction) -> Json:
    facts: Json = {
        "model": prediction.model.key,
        "sample": prediction.sample.id,
        "prediction": prediction.text,
        "references": list(prediction.sample.references),
    }
    if not prediction.answered:
        return {**facts, "failure": prediction.failure}
    unscored = {"unscored": dict(prediction.unscored)} if prediction.unscored else {}
    return {**facts, "truncated": prediction.truncated, **unscored, **prediction.scores}
