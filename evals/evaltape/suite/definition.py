"""A suite as records: the tables of its file, checked, with every default filled in.

A field whose type has a description is a key of its table; any other has a line of its own. `reader.load_suite` makes the
records; nothing here reads a file.
"""

from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from evaltape.suite.endpoint import BaseUrl, Body, KeyVariable, ModelPrice, Request, TrainingPrice
from evaltape.suite.file.values import (
    SAFE,
    Column,
    Count,
    Drop,
    Function,
    Integer,
    Json,
    Limit,
    Named,
    Number,
    Positive,
    Regex,
    Rules,
    Setting,
    Share,
    Table,
    Text,
    Texts,
    Whole,
    key,
    reads,
    text,
)
from evaltape.suite.metric_tables import Metrics, OwnMetric, default_metrics
from evaltape.suite.prompt import ANSWER, INPUT, REFERENCE, JudgePrompt, Prompt

CORRECTED = "_corrected"
"""A bound on a judge's metric with this suffix is on its mean corrected by people's labels."""
SERVICES = ("openai", "azure", "nebius", "bedrock", "litellm", "portkey")
"""Services with known ways of fine-tuning."""


class Split(Table, frozen=True, kw_only=False):
    """A selection of a split's rows."""

    split: Annotated[Text, key("The split that the rows are from.")] = "validation"
    samples: Annotated[Count | None, key("How many rows; all of them when absent.")] = None
    seed: Annotated[Whole | None, key("Rows are taken after datasets' shuffle(seed=...); in their order when absent.")] = None


class Fields(Table, frozen=True, kw_only=False):
    """The columns that hold the parts of a sample."""

    id: Annotated[Column | None, key("The first 12 hex digits of the SHA-256 of the input when absent.")] = None
    input: Annotated[Column | None, key("'dialogue' when absent; beside a conversation its turns as text.")] = None
    reference: Annotated[
        tuple[Column, ...],
        reads(Column | Annotated[tuple[Column, ...], Meta(min_length=1)], lambda it: (it,) if isinstance(it, str) else it),
        key("A column of texts or of lists of texts, or a list of columns."),
    ] = ("summary",)


class Dataset(Split, frozen=True, kw_only=True):
    """The data set, and the rows of it that are evaluated."""

    path: Annotated[Text, key("A Hub data set; a .jsonl, .json, .csv or .parquet file; or a folder with a file per split.")]
    revision: Annotated[Text | None, key("Of a Hub data set: a branch, tag or commit.")] = None
    fields: Annotated[Fields, key("The columns of a sample's parts; id, dialogue and summary when absent.")] = Fields("id")
    slices: Annotated[Texts, key("Columns of labels; samples with one label are a slice, scored apart.")] = ()
    slice_min: Annotated[Count, key("A slice of fewer samples is shown, not gated.")] = 20
    cluster: Annotated[Column | None, key("Samples that share this column's value aren't independent of each other.")] = None
    keep: Annotated[Texts, key("Further columns for tests and metrics.")] = ()


class AnswerTable(Table, frozen=True):
    """The part of the recorded text that is scored, found by these steps in the order of the file."""

    after: Annotated[Text | None, key("The text after the last occurrence of this one, as '</think>'.")] = None
    json: Annotated[Text | None, key("The value of this key of a JSON object, which stands in a code fence or bare.")] = None
    regex: Annotated[Regex | None, key("The first group of this pattern, or all that it finds.")] = None
    function: Annotated[Function | None, key("The text that your function returns for the text.")] = None
    written: tuple[str, ...] = ()
    """The keys that the file has, in its order."""


Answer = Annotated[AnswerTable | None, key("The part of the recorded text that is scored; all of it when absent.")]
Gates = Annotated[dict[str, Limit], key("Per metric the bound on the mean score; 'omit' removes one of [defaults].")]
SliceGates = Annotated[dict[str, Number], key("Per metric the bound that no slice may be clearly beyond.")]
AllowFailed = Annotated[Whole, key("How many failed samples the gates put up with.")]


class Defaults(Table, frozen=True):
    """For every model that doesn't say otherwise."""

    base_url: BaseUrl = None
    api_key_env: KeyVariable = None
    request: Request = {}
    answer: Answer = None
    price: ModelPrice = None
    gates: Gates = {}


class Model(Named, frozen=True, kw_only=False):
    """A model under test."""

    rules: ClassVar[Rules] = Rules(
        one_of=("model", "predictions"),
        apart=tuple(("predictions", other) for other in ("base_url", "api_key_env", "request", "prompt", "price")),
    )
    served: Annotated[Text, key("The name the model is asked by.")] = msgspec.field(name="model", default="")
    """The name it is asked by; empty for answers from a file, and for a tuned model: its job knows the name."""
    predictions: Annotated[Path | None, key("In place of a model: a file of answers, id and prediction a line.")] = None
    base_url: BaseUrl = None
    api_key_env: KeyVariable = None
    request: Request = {}
    """The keys that every call sends beside model and messages: the suite's, with the model's own changes."""
    prompt: Annotated[Prompt, key("This model's own prompt, in place of all of the suite's.")] = Prompt()
    """The model's own prompt, or a prompt of the suite; a tuned model has its base's."""
    answer: Answer = None
    price: ModelPrice = None
    gates: Gates = {}
    """Per metric the bound on the mean score, those of `[defaults]` among them."""
    slice_gates: SliceGates = {}
    allow_failed: AllowFailed = 0
    prompt_place: str = "[prompt]"
    """The table that declares its prompt, for messages: `[prompt]`, `[prompts.terse]`, `[models.small.prompt]`."""
    job: "Finetune | None" = None
    """The job that yields a tuned model."""
    declared: str = ""
    """The key of the table that declares it: without the prompt's, where the suite has several prompts. Empty: as `key`."""

    def __repr__(self) -> str:
        return f"<model {self.key}>"

    @property
    def kind(self) -> str:
        """`baseline`, or `finetuned` for a tuned model: the mark of its tests."""
        return "finetuned" if self.job else "baseline"

    @property
    def place(self) -> str:
        """The table that declares it, for messages: `models.small`, `finetune.tuned`."""
        return f"{'finetune' if self.job else 'models'}.{self.declared or self.key}"


Scale = Annotated[tuple[Number, Number], Meta(extra={"takes": "two numbers, the lower one first"})]


class Verdict(Table, frozen=True, kw_only=False):
    """How a judge's answer is read: as true or false, or as a number on a scale."""

    rules: ClassVar[Rules] = Rules(one_of=("json", "regex"))
    json: Annotated[Text | None, key("A key of a JSON object in the answer.")] = None
    regex: Annotated[Regex | None, key("A pattern; its first group is the verdict, or all that it finds.")] = None
    scale: Annotated[Scale | None, key("The lowest and the highest number; true or false when absent.")] = None


class Exam(Table, frozen=True, kw_only=False):
    """The exam that a judge must pass before a gate may rest on it."""

    rules: ClassVar[Rules] = Rules(needs=(("min_kappa", "labels"),))
    mutants: Annotated[tuple[Text, ...] | None, key("Damages to notice; all that harm when absent, none for [].")] = None
    samples: Annotated[Count, key("How many samples of each kind it judges.")] = 20
    min_noticed: Annotated[Share, key("The least share of each kind of damage that it must notice.")] = 0.8
    max_alarms: Annotated[Share, key("The greatest share of undamaged references that it may fault.")] = 0.1
    labels: Annotated[Path | None, key("A file of people's verdicts: id, answer and label a line.")] = None
    min_kappa: Annotated[Share, key("The least agreement with the labels, Cohen's kappa.")] = 0.6


class Judge(Named, frozen=True, kw_only=True):
    """A model that scores answers."""

    verdict: Annotated[Verdict, key("How its answer is read.")]
    base_url: BaseUrl = None
    api_key_env: KeyVariable = None
    request: Annotated[Body, key("Sent with every call; the suite's [request] is for models under test.")] = {}
    price: ModelPrice = None
    unexamined: Annotated[bool, key("Whether gates may rest on it without an exam.")] = False
    exam: Annotated[Exam | None, key("What it must pass before a gate may rest on it.")] = None
    served: Annotated[Text, key("The name the judge is asked by.")] = msgspec.field(name="model")
    prompt: JudgePrompt

    def __repr__(self) -> str:
        return f"<judge {self.key}>"

    @property
    def columns(self) -> frozenset[str]:
        """The columns of a sample that its prompt names, beside input, answer and reference."""
        return self.prompt.columns - {INPUT, ANSWER, REFERENCE}


class Train(Split, frozen=True):
    """The rows to train on."""

    rules: ClassVar[Rules] = Rules(apart=(("recorded", "split"),))
    split: Annotated[Text, key("The split that the rows are from.")] = "train"
    leaks: Annotated[
        Literal["error", "drop"], key("Training rows that are also evaluated: refuse them, or leave them out.")
    ] = "error"
    recorded: Annotated[
        Annotated[str, text("'SUITE/MODEL'", "^[^/]+/[^/]+$")] | None,
        key("In place of a split: a model's recorded answers as references."),
    ] = None


class Finetune(Named, frozen=True, kw_only=True):
    """A fine-tuning job; its tuned model is a model under test."""

    base_key: Annotated[Text, key("A key under [models]; the job trains with its prompt.")] = msgspec.field(name="base")
    train: Annotated[Train, key("The rows to train on.")]
    suffix: Annotated[Text | None, key("A part of the tuned model's name.")] = None
    seed: Annotated[Integer | None, key("The seed of the training.")] = None
    hyperparameters: Annotated[
        dict[str, Setting], key("By the service's names: numbers, texts, true or false; the API's choice when absent.")
    ] = {}
    service: Annotated[Text, key(f"Whose ways the API has: {', '.join(SERVICES)}, or 'module:Class'.")] = "openai"
    extra: Annotated[Json, key("Further keys of the order of the job.")] = {}
    deploy: Annotated[Function | None, key("Deploys the tuned model and returns the name to ask it by.")] = None
    poll_seconds: Annotated[Positive, key("How often the API is asked for the job's state.")] = 30.0
    validation: Annotated[Split | None, key("The rows that the API measures its validation loss on.")] = None
    price: Annotated[TrainingPrice | None, key("USD per million tokens.")] = None
    gates: Gates = {}
    slice_gates: SliceGates = {}
    allow_failed: AllowFailed = 0
    base: Model = msgspec.field(name="base_model", default=Model())
    """The model that is tuned."""

    def __repr__(self) -> str:
        return f"<job {self.key}>"


class Comparison(Named, frozen=True, kw_only=True):
    """A paired assertion on the samples that both models answered."""

    rules: ClassVar[Rules] = Rules(any_of=("min_gain", "max_drop"))
    baseline: Annotated[Text, key("A key under [models] or [finetune].")]
    candidate: Annotated[Text, key("Likewise: the model that is judged.")]
    min_gain: Annotated[dict[str, Number], key("Per metric by how much the candidate has to be better.")] = {}
    max_drop: Annotated[dict[str, Drop], key("Per metric by how much the candidate may be worse.")] = {}
    confidence: Annotated[
        float, Meta(ge=0.5, lt=1), key("One-sided: at 0.95 a difference on the bound passes in 5% of all cases.")
    ] = 0.95
    inconclusive: Annotated[Literal["fail", "skip"], key("The end of a test that can't be decided.")] = "fail"

    @property
    def bounds(self) -> dict[str, float]:
        """Per metric the difference, candidate less baseline, that has to be reached."""
        return {**self.min_gain, **{metric: -drop for metric, drop in self.max_drop.items()}}


class Against(Table, frozen=True, kw_only=False):
    """Asserted if --against is given."""

    max_drop: Annotated[
        dict[str, Drop], Meta(min_length=1), key("Per metric by how much a model may be worse than its earlier recording.")
    ]


class Mutants(Table, frozen=True, kw_only=False):
    """Which damages --mutate tries; all that are built in when absent."""

    operators: Annotated[Texts, key("Names of built-in operators, or 'module:function'.")] = ()
    noticed_at: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | None, key("Some gate has to fail when this share of the answers is damaged.")
    ] = None


class Suite(Table, frozen=True, kw_only=True, dict=True):
    """A suite of Evaltape: data, prompts, models, metrics and their bounds."""

    dataset: Annotated[Dataset, key("The data set, and the rows of it that are evaluated.")]
    prompt: Annotated[Prompt | None, key("The messages that models are asked with.")] = None
    prompts: Annotated[dict[str, Prompt], SAFE, key("Further prompts; models without their own take each.")] = {}
    defaults: Annotated[Defaults, key("For every model that doesn't say otherwise.")] = Defaults()
    request: Request = {}
    answer: Answer = None
    metrics: Metrics = msgspec.field(default_factory=default_metrics)
    judges: Annotated[dict[str, Judge], SAFE, key("Models that score answers.")] = {}
    models: Annotated[dict[str, Model], SAFE, Meta(min_length=1), key("The models under test.")]
    finetune: Annotated[dict[str, Finetune], SAFE, key("Fine-tuning jobs; each tuned model is a model under test.")] = {}
    comparisons: Annotated[dict[str, Comparison], SAFE, key("Paired assertions between two models.")] = msgspec.field(
        name="compare", default={}
    )
    against: Annotated[Against | None, key("Asserted if --against is given.")] = None
    mutants: Annotated[Mutants | None, key("Which damages --mutate tries; all that are built in when absent.")] = None
    file: Path = Path()
    """The file, as it was named."""

    @property
    def name(self) -> str:
        """The file's stem: the first part of test ids, and the name of the folder under the cassettes."""
        return self.file.stem

    @cached_property
    def judged_by(self) -> dict[str, Judge]:
        """The judges by the metrics that they score."""
        own = {name: it.judge for name, it in self.metrics.items() if isinstance(it, OwnMetric)}
        return {name: self.judges[judge] for name, judge in own.items() if judge is not None}

    @property
    def calls_nothing(self) -> bool:
        """Whether every model's answers come from a file, so that there is nothing to record."""
        return all(model.predictions for model in self.models.values()) and not self.judges

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns that samples carry: all that keep, slices, cluster or a prompt of models and judges names, sorted."""
        data = self.dataset
        named = {*data.keep, *data.slices, *([data.cluster] if data.cluster else [])}
        asked = [model.prompt.columns for model in self.models.values()] + [judge.columns for judge in self.judges.values()]
        return tuple(sorted(named.union(*asked) - {INPUT}))

    @cached_property
    def conversation(self) -> str | None:
        """The column of messages that stands in for an input column; None if there is an input column."""
        if self.dataset.fields.input is not None:
            return None
        return next((model.prompt.conversation for model in self.models.values() if model.prompt.conversation), None)
