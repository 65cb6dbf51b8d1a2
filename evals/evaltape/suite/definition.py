"""A suite as dataclasses: what its file says, checked and with every default filled in.

`reader.load_suite` makes them. Nothing here reads a file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from evaltape.suite.prompt import Prompt


@dataclass(frozen=True)
class Fields:
    """The data set's columns that hold the parts of a sample."""

    id: str | None = "id"
    """None: the first 12 hex digits of the SHA-256 of the input."""
    input: str | None = "dialogue"
    """None: the turns of the prompt's `conversation` column, as text."""
    reference: tuple[str, ...] = ("summary",)
    """One column of texts or of lists of texts, or several columns of texts."""


@dataclass(frozen=True)
class Split:
    """A selection of one split's rows."""

    name: str
    """As the data set calls it; of a local folder the stem of a file in it."""
    samples: int | None = None
    """How many rows; None for all of them."""
    seed: int | None = None
    """Rows are taken after datasets' `shuffle(seed=seed)`; None: in the order of the data set."""


@dataclass(frozen=True)
class Dataset:
    """Where samples come from, and what of a row is kept."""

    path: str
    """A Hub data set; or, relative to the suite file, a local file or a folder with a file per split."""
    fields: Fields
    """Which columns hold id, input and references."""
    split: Split
    """The rows that are evaluated."""
    revision: str | None = None
    """Of a Hub data set."""
    slices: tuple[str, ...] = ()
    """Columns whose values divide the samples into groups that are scored apart."""
    slice_min: int = 20
    """A slice of fewer samples is shown, not gated."""
    cluster: str | None = None
    """The column whose equal values mark samples that are not independent of each other."""
    keep: tuple[str, ...] = ()
    """Further columns, for tests and metrics."""


@dataclass(frozen=True)
class Price:
    """USD per million tokens."""

    input: float
    """Of the prompt's tokens."""
    output: float
    """Of the answer's tokens."""
    training: float | None = None
    """Of a job's trained tokens."""


@dataclass(frozen=True)
class MetricSpec:
    """One metric as the suite asks for it; `scoring.metrics` builds it and checks what depends on the metric itself."""

    name: str
    """The key under `[metrics]`: how gates, tests and results call it."""
    kind: str
    """rouge, chrf, bleu, exact, words, latency_s, cost_usd or function."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The options that are written in the suite: known keys, values of the right types."""


@dataclass(frozen=True, repr=False)
class Model:
    """A model under test."""

    key: str
    """Its key in the suite: part of test ids and the name of its cassette folder."""
    suite: str
    """The name of its suite."""
    served: str
    """The name it is asked by; empty for a tuned model, whose name its job knows, and for answers from a file."""
    request: Mapping[str, Any] = field(default_factory=dict)
    """What every call sends beside model and messages: the suite's request with the model's own changes applied."""
    prompt: Prompt = field(default_factory=Prompt)
    """The model's own prompt, or the suite's; a tuned model has its base's."""
    base_url: str | None = None
    """None: that of `OPENAI_BASE_URL`, or OpenAI's own."""
    api_key_env: str | None = None
    """The name of the environment variable that holds the key."""
    price: Price | None = None
    """What its tokens cost."""
    gates: Mapping[str, float] = field(default_factory=dict)
    """Per metric the bound on the mean score."""
    slice_gates: Mapping[str, float] = field(default_factory=dict)
    """Per metric the bound that no slice may be clearly beyond."""
    allow_failed: int = 0
    """How many failed samples its gates put up with."""
    job: "Finetune | None" = None
    """The job that yields a tuned model."""
    predictions: Path | None = None
    """The file of its answers, for a model that is never called."""

    def __repr__(self) -> str:
        return f"<model {self.key}>"

    @property
    def kind(self) -> str:
        """`baseline`, or `finetuned` for a tuned model: the mark of its tests."""
        return "finetuned" if self.job else "baseline"


@dataclass(frozen=True, repr=False)
class Finetune:
    """A fine-tuning job; its tuned model is a model under test with the same key."""

    key: str
    """Its key in the suite."""
    suite: str
    """The name of its suite."""
    base: Model
    """The model that is tuned; the job trains with its prompt."""
    train: Split
    """The rows it trains on."""
    leaks: str = "error"
    """What becomes of training rows that are also evaluated: `error` refuses them, `drop` leaves them out."""
    validation: Split | None = None
    """The rows the API measures its validation loss on."""
    suffix: str | None = None
    """A part of the tuned model's name."""
    seed: int | None = None
    """The seed of the training."""
    hyperparameters: Mapping[str, int | float | str] = field(default_factory=dict)
    """n_epochs, batch_size and learning_rate_multiplier, as far as they are set; `auto` leaves one to the API."""
    poll_seconds: float = 30.0
    """How often the API is asked for the job's state."""
    price: Price | None = None
    """What training and the tuned model's tokens cost."""

    def __repr__(self) -> str:
        return f"<job {self.key}>"


@dataclass(frozen=True)
class Comparison:
    """A paired assertion between two models: a least gain or a greatest drop in mean score, per metric."""

    name: str
    """Its key in the suite."""
    suite: str
    """The name of its suite."""
    baseline: str
    """The key of the model that is compared with."""
    candidate: str
    """The key of the model that is judged."""
    min_gain: Mapping[str, float] = field(default_factory=dict)
    """Per metric by how much the candidate has to be better."""
    max_drop: Mapping[str, float] = field(default_factory=dict)
    """Per metric by how much the candidate may be worse."""
    confidence: float = 0.95
    """One-sided: a pass that isn't one happens in 1 - confidence of all cases."""
    inconclusive: str = "fail"
    """What becomes of a test that can't be decided: `fail` or `skip`."""

    @property
    def bounds(self) -> dict[str, float]:
        """Per metric the difference, candidate less baseline, that has to be reached."""
        return {**self.min_gain, **{metric: -drop for metric, drop in self.max_drop.items()}}


@dataclass(frozen=True)
class Against:
    """What is asserted of each model against an earlier recording of its own."""

    max_drop: Mapping[str, float]
    """Per metric by how much the mean may be worse."""


@dataclass(frozen=True)
class Mutants:
    """Which damages are tried on recorded answers, and what is asserted of them."""

    operators: tuple[str, ...] = ()
    """Names of built-in operators, or `module:function`; empty for all that are built in."""
    noticed_at: float | None = None
    """The share of damaged answers at which some gate has to fail; None asserts nothing."""


@dataclass(frozen=True)
class Suite:
    """Everything a suite file says."""

    file: Path
    """The file, as it was named."""
    dataset: Dataset
    """What is evaluated."""
    metrics: Mapping[str, MetricSpec]
    """By name, in the order they are shown."""
    models: Mapping[str, Model]
    """By key, in the order of the file; tuned models last."""
    comparisons: Mapping[str, Comparison] = field(default_factory=dict)
    """By name."""
    against: Against | None = None
    """None: `--against` shows differences and asserts nothing."""
    mutants: Mutants | None = None
    """None: `--mutate` tries every built-in operator."""

    @property
    def name(self) -> str:
        """The file's stem: the first part of test ids, and the name of the folder under the cassettes."""
        return self.file.stem

    def models_of(self, kind: str) -> list[Model]:
        """Return the models of one kind, `baseline` or `finetuned`, in the order of the file."""
        return [model for model in self.models.values() if model.kind == kind]

    @property
    def calls_nothing(self) -> bool:
        """Whether every model's answers come from a file, so that there is nothing to record."""
        return all(model.predictions for model in self.models.values())

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns that samples carry: those that keep, slices, cluster or a prompt names, sorted."""
        data = self.dataset
        named = {*data.keep, *data.slices, *([data.cluster] if data.cluster else [])}
        return tuple(sorted(named.union(*(model.prompt.columns for model in self.models.values())) - {"input"}))

    @cached_property
    def conversation(self) -> str | None:
        """The column of messages that stands in for an input column; None if there is an input column."""
        if self.dataset.fields.input is not None:
            return None
        return next((model.prompt.conversation for model in self.models.values() if model.prompt.conversation), None)
