"""A suite as records: the contents of its file, checked, with every default filled in.

`reader.load_suite` makes them. Nothing here reads a file.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from evaltape.suite.file.basics import DatasetKeys, Price, TrainingPrice
from evaltape.suite.file.tables import Against, CompareTable, JobKeys, JudgeKeys, Mutants
from evaltape.suite.prompt import ANSWER, INPUT, REFERENCE, Prompt

CORRECTED = "_corrected"
"""A bound on a judge's metric with this suffix is on its mean corrected by people's labels."""


class Split(msgspec.Struct, frozen=True):
    """A selection of a split's rows."""

    name: str
    """As the data set calls it; of a local folder the stem of a file in it."""
    samples: int | None = None
    """How many rows; None for all of them."""
    seed: int | None = None
    """Rows are taken after datasets' `shuffle(seed=seed)`; None: in the order of the data set."""


class Dataset(DatasetKeys, frozen=True, kw_only=True):
    """Where samples come from, and which parts of a row are kept."""

    split: Split
    """The rows that are evaluated."""


class AnswerRule(msgspec.Struct, frozen=True):
    """A step from the recorded text to the text that is scored."""

    kind: str
    """after, json, regex or function."""
    value: str
    """The text after which it begins; the key of a JSON object; the pattern; `module:function`."""


AnswerRules = tuple[AnswerRule, ...]
"""The steps, in their order; without steps the recorded text is scored whole."""


class MetricSpec(msgspec.Struct, frozen=True):
    """A metric as the suite asks for it; `metrics` builds it, and checks options that depend on the metric."""

    name: str
    """The key under `[metrics]`: how gates, tests and results call it."""
    kind: str
    """rouge, chrf, bleu, exact, words, latency_s, cost_usd, function or judge."""
    options: Mapping[str, Any] = {}
    """The options that are written in the suite: known keys, values of the right types."""

    @property
    def judge(self) -> str | None:
        """The key of the judge that computes it; None for every other kind."""
        return self.options["judge"] if self.kind == "judge" else None


class Model(msgspec.Struct, frozen=True):
    """A model under test."""

    key: str
    """Its key in the suite: part of test ids and the name of its cassette folder."""
    suite: str
    """The name of its suite."""
    served: str
    """The name it is asked by; empty for answers from a file, and for a tuned model: its job knows the name."""
    request: Mapping[str, Any] = {}
    """The keys that every call sends beside model and messages: the suite's, with the model's own changes."""
    prompt: Prompt = Prompt()
    """The model's own prompt, or a prompt of the suite; a tuned model has its base's."""
    prompt_place: str = "[prompt]"
    """The table that declares its prompt, for messages: `[prompt]`, `[prompts.terse]`, `[models.small.prompt]`."""
    base_url: str | None = None
    """None: that of `OPENAI_BASE_URL`, or OpenAI's own."""
    api_key_env: str | None = None
    """The name of the environment variable that holds the key."""
    price: Price | None = None
    """The price of its tokens."""
    gates: Mapping[str, float] = {}
    """Per metric the bound on the mean score."""
    slice_gates: Mapping[str, float] = {}
    """Per metric the bound that no slice may be clearly beyond."""
    allow_failed: int = 0
    """How many failed samples its gates put up with."""
    answer: AnswerRules = ()
    """How the text that is scored is taken from the recorded text."""
    job: "Finetune | None" = None
    """The job that yields a tuned model."""
    predictions: Path | None = None
    """The file of its answers, for a model that is never called."""
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


class RecordedAnswers(msgspec.Struct, frozen=True):
    """The recorded answers of a model, which a job trains on in place of references."""

    suite: str
    """The name of the model's suite."""
    model: str
    """The model's key in it."""


class Finetune(JobKeys, frozen=True, kw_only=True):
    """A fine-tuning job; its tuned model is a model under test with the same key."""

    key: str
    """Its key in the suite."""
    suite: str
    """The name of its suite."""
    base: Model
    """The model that is tuned; the job trains with its prompt."""
    train: Split
    """The rows it trains on; with `recorded` only how many of its samples, and by which seed: the name is then empty."""
    recorded: RecordedAnswers | None = None
    """The answers it trains on, where they aren't the references of rows."""
    leaks: str = "error"
    """`error` refuses training rows that are also evaluated, `drop` leaves them out."""
    validation: Split | None = None
    """The rows the API measures its validation loss on."""
    price: TrainingPrice | None = None
    """The price of training and of the tuned model's tokens."""

    def __repr__(self) -> str:
        return f"<job {self.key}>"


class Judge(JudgeKeys, frozen=True, kw_only=True):
    """A model that scores answers."""

    key: str
    """Its key in the suite: the name of folders of its verdicts."""
    suite: str
    """The name of its suite."""
    served: str
    """The name it is asked by."""
    prompt: Prompt
    """Its prompt; beside `input` and columns it names `answer`, and perhaps `reference`."""

    def __repr__(self) -> str:
        return f"<judge {self.key}>"

    @property
    def columns(self) -> frozenset[str]:
        """The columns of a sample that its prompt names, beside input, answer and reference."""
        return self.prompt.columns - {INPUT, ANSWER, REFERENCE}


class Comparison(CompareTable, frozen=True, kw_only=True):
    """A paired assertion between two models: a least gain or a greatest drop in mean score, per metric."""

    name: str
    """Its key in the suite."""
    suite: str
    """The name of its suite."""

    @property
    def bounds(self) -> dict[str, float]:
        """Per metric the difference, candidate less baseline, that has to be reached."""
        return {**self.min_gain, **{metric: -drop for metric, drop in self.max_drop.items()}}


class Suite(msgspec.Struct, frozen=True, dict=True):
    """Everything a suite file says."""

    file: Path
    """The file, as it was named."""
    dataset: Dataset
    """The data set, and the rows that are evaluated."""
    metrics: Mapping[str, MetricSpec]
    """By name, in the order they are shown."""
    models: Mapping[str, Model]
    """By key, in the order of the file; tuned models last."""
    judges: Mapping[str, Judge] = {}
    """By key."""
    comparisons: Mapping[str, Comparison] = {}
    """By name."""
    against: Against | None = None
    """None: `--against` shows differences and asserts nothing."""
    mutants: Mutants | None = None
    """None: `--mutate` tries every built-in operator."""

    @property
    def name(self) -> str:
        """The file's stem: the first part of test ids, and the name of the folder under the cassettes."""
        return self.file.stem

    def metric_of(self, name: str) -> MetricSpec:
        """Return the metric that a bound names: by its name, or by the name with `_corrected` for a judge's."""
        return self.metrics[name] if name in self.metrics else self.metrics[name.removesuffix(CORRECTED)]

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
