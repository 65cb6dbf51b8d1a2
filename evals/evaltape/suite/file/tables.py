"""The tables of a suite file: every key with its kind, limits, default and description.

A field is a key, its type and limits are valid values, its `key(...)` is the description. Paths are relative to the suite file.
"""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from evaltape.suite.file.basics import (
    METRICS,
    AllowFailed,
    Answer,
    BaseUrl,
    Body,
    Count,
    DatasetTable,
    Drop,
    Function,
    GatesKey,
    Integer,
    Json,
    KeyVariable,
    ModelPrice,
    Number,
    OwnMetric,
    Positive,
    PromptTable,
    Request,
    Rules,
    Samples,
    Seed,
    Setting,
    Share,
    SliceGates,
    Table,
    Text,
    Texts,
    TrainingPrice,
    key,
    text,
)


class DefaultsTable(Table, frozen=True):
    """For every model that doesn't say otherwise."""

    base_url: BaseUrl = None
    api_key_env: KeyVariable = None
    request: Request = {}
    answer: Answer = None
    price: ModelPrice = None
    gates: GatesKey = {}


class ModelTable(Table, frozen=True):
    """A model under test."""

    rules: ClassVar[Rules] = Rules(
        one_of=("model", "predictions"),
        apart=tuple(("predictions", other) for other in ("base_url", "api_key_env", "request", "prompt", "price")),
    )
    model: Annotated[Text | None, key("The name the model is asked by.")] = None
    predictions: Annotated[Path | None, key("In place of a model: a file of answers, id and prediction a line.")] = None
    base_url: BaseUrl = None
    api_key_env: KeyVariable = None
    request: Request = {}
    prompt: Annotated[PromptTable | None, key("This model's own prompt, in place of all of the suite's.")] = None
    answer: Answer = None
    price: ModelPrice = None
    gates: GatesKey = {}
    slice_gates: SliceGates = {}
    allow_failed: AllowFailed = 0


Scale = Annotated[tuple[Number, Number], Meta(extra={"takes": "two numbers, the lower one first"})]


class Verdict(Table, frozen=True, kw_only=False):
    """How a judge's answer is read: as true or false, or as a number on a scale."""

    rules: ClassVar[Rules] = Rules(one_of=("json", "regex"))
    json: Annotated[Text | None, key("A key of a JSON object in the answer.")] = None
    regex: Annotated[Text | None, key("A pattern; its first group is the verdict, or all that it finds.")] = None
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


class JudgeKeys(Table, frozen=True):
    """The keys of a judge that need nothing else."""

    verdict: Annotated[Verdict, key("How its answer is read.")]
    base_url: BaseUrl = None
    api_key_env: KeyVariable = None
    request: Annotated[Body, key("Sent with every call; the suite's [request] is for models under test.")] = {}
    price: ModelPrice = None
    unexamined: Annotated[bool, key("Whether gates may rest on it without an exam.")] = False
    exam: Annotated[Exam | None, key("What it must pass before a gate may rest on it.")] = None


class JudgeTable(JudgeKeys, frozen=True, kw_only=True):
    """A model that scores answers."""

    model: Annotated[Text, key("The name the judge is asked by.")]
    prompt: Annotated[Text | PromptTable, key("Names {answer}, and perhaps {input}, {reference} and columns.")]


class SplitTable(Table, frozen=True):
    """The rows that the API measures its validation loss on."""

    split: Annotated[Text, key("The split they are from.")] = "validation"
    samples: Samples = None
    seed: Seed = None


Leaks = Literal["error", "drop"]
Recorded = Annotated[str, text("'SUITE/MODEL'", "^[^/]+/[^/]+$")]


class TrainTable(SplitTable, frozen=True):
    """The rows to train on."""

    rules: ClassVar[Rules] = Rules(apart=(("recorded", "split"),))
    split: Annotated[Text, key("The split they are from.")] = "train"
    leaks: Annotated[Leaks, key("Training rows that are also evaluated: refuse them, or leave them out.")] = "error"
    recorded: Annotated[Recorded | None, key("In place of a split: a model's recorded answers as references.")] = None


SERVICES = ("openai", "azure", "nebius", "bedrock", "litellm", "portkey")
"""Services with known ways of fine-tuning."""
NOT_BUILT_IN = {
    "mistral": "its orders have another schema, and the API is deprecated",
    "together": "it has an API of its own, /v1/fine-tunes",
    "fireworks": "it has an API of its own, with data sets in place of files",
}
"""Services that take a class of the user's, with the reason."""


class JobKeys(Table, frozen=True):
    """The keys of a fine-tuning job that need nothing else."""

    suffix: Annotated[Text | None, key("A part of the tuned model's name.")] = None
    seed: Annotated[Integer | None, key("The seed of the training.")] = None
    hyperparameters: Annotated[
        dict[str, Setting], key("By the service's names: numbers, texts, true or false; the API's choice when absent.")
    ] = {}
    service: Annotated[Text, key(f"Whose ways the API has: {', '.join(SERVICES)}, or 'module:Class'.")] = "openai"
    extra: Annotated[Json, key("Further keys of the order of the job.")] = {}
    deploy: Annotated[Function | None, key("Deploys the tuned model and returns the name to ask it by.")] = None
    poll_seconds: Annotated[Positive, key("How often the API is asked for the job's state.")] = 30.0


class FinetuneTable(JobKeys, frozen=True, kw_only=True):
    """A fine-tuning job; its tuned model is a model under test."""

    base: Annotated[Text, key("A key under [models]; the job trains with its prompt.")]
    train: Annotated[TrainTable, key("The rows to train on.")]
    validation: Annotated[SplitTable | None, key("The rows that the API measures its validation loss on.")] = None
    price: Annotated[TrainingPrice | None, key("USD per million tokens.")] = None
    gates: GatesKey = {}
    slice_gates: SliceGates = {}
    allow_failed: AllowFailed = 0


Auto = Literal["auto"]


class OpenAiHyperparameters(Table, frozen=True):
    """The hyperparameters of OpenAI's API; "auto" leaves one to it."""

    n_epochs: Annotated[Count | Auto | None, key("How often the training file is gone through.")] = None
    batch_size: Annotated[Count | Auto | None, key("Rows a step.")] = None
    learning_rate_multiplier: Annotated[Positive | Auto | None, key("A factor of the API's own learning rate.")] = None


Confidence = Annotated[float, Meta(ge=0.5, lt=1)]
Drops = Annotated[dict[str, Drop], Meta(min_length=1)]
Part = Annotated[float, Meta(gt=0, le=1)]


class CompareTable(Table, frozen=True):
    """A paired assertion on the samples that both models answered."""

    rules: ClassVar[Rules] = Rules(any_of=("min_gain", "max_drop"))
    baseline: Annotated[Text, key("A key under [models] or [finetune].")]
    candidate: Annotated[Text, key("Likewise: the model that is judged.")]
    min_gain: Annotated[dict[str, Number], key("Per metric by how much the candidate has to be better.")] = {}
    max_drop: Annotated[dict[str, Drop], key("Per metric by how much the candidate may be worse.")] = {}
    confidence: Annotated[Confidence, key("One-sided: at 0.95 a difference on the bound passes in 5% of all cases.")] = 0.95
    inconclusive: Annotated[Literal["fail", "skip"], key("The end of a test that can't be decided.")] = "fail"


class Against(Table, frozen=True, kw_only=False):
    """Asserted if --against is given."""

    max_drop: Annotated[Drops, key("Per metric by how much a model may be worse than its earlier recording.")]


class Mutants(Table, frozen=True, kw_only=False):
    """Which damages --mutate tries; all that are built in when absent."""

    operators: Annotated[Texts, key("Names of built-in operators, or 'module:function'.")] = ()
    noticed_at: Annotated[Part | None, key("Some gate has to fail when this share of the answers is damaged.")] = None


Metrics = Annotated[dict[str, OwnMetric], Meta(min_length=1, extra={"known": METRICS})]


class SuiteTable(Table, frozen=True, kw_only=True):
    """A suite of Evaltape: data, prompts, models, metrics and their bounds."""

    dataset: Annotated[DatasetTable, key("The data set, and the rows of it that are evaluated.")]
    prompt: Annotated[PromptTable | None, key("The messages that models are asked with.")] = None
    prompts: Annotated[dict[str, PromptTable], key("Further prompts; models without their own take each.")] = {}
    defaults: Annotated[DefaultsTable, key("For every model that doesn't say otherwise.")] = DefaultsTable()
    request: Request = {}
    answer: Answer = None
    metrics: Annotated[Metrics, key("In the order they are shown; rouge1, rouge2 and rougeL when absent.")] = {}
    judges: Annotated[dict[str, JudgeTable], key("Models that score answers.")] = {}
    models: Annotated[dict[str, ModelTable], Meta(min_length=1), key("The models under test.")]
    finetune: Annotated[dict[str, FinetuneTable], key("Fine-tuning jobs; each tuned model is a model under test.")] = {}
    compare: Annotated[dict[str, CompareTable], key("Paired assertions between two models.")] = {}
    against: Annotated[Against | None, key("Asserted if --against is given.")] = None
    mutants: Annotated[Mutants | None, key("Which damages --mutate tries; all that are built in when absent.")] = None
