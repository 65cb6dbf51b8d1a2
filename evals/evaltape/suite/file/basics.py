"""The kinds of values that several keys take, and the tables of the data set, of calls and of metrics."""

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

FUNCTION = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*"
"""`module:function`."""
MOST_USD = 1_000_000
"""The greatest price: a dollar a token."""
MOST = 1e15
"""The greatest number anywhere: no rounding, and no sum over samples that is infinite."""


def key(about: str) -> Meta:
    """Describe a key, for editors and for the tables of keys."""
    return Meta(description=about)


def text(takes: str, pattern: str = r"\S") -> Meta:
    """Bound a text: `takes` are the words that follow `it takes`, `pattern` is searched."""
    return Meta(pattern=pattern, extra={"takes": takes})


class Rules(msgspec.Struct, frozen=True):
    """Which keys of a table go together."""

    one_of: tuple[str, ...] = ()
    """Exactly one of these keys is required."""
    any_of: tuple[str, ...] = ()
    """Any of these keys is required; several are allowed."""
    apart: tuple[tuple[str, str], ...] = ()
    """Pairs of keys of which the second has no meaning beside the first."""
    needs: tuple[tuple[str, str], ...] = ()
    """Pairs of keys of which the first has no meaning without the second."""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table of the suite file: its fields are the keys, and no others are valid."""

    rules: ClassVar[Rules] = Rules()

    def values_of(self, keys: "type[Table]") -> dict[str, Any]:
        """Return the values of the keys that a table of this kind shares with `keys`."""
        return {name: getattr(self, name) for name in keys.__struct_fields__}


Text = Annotated[str, text("a text")]
Column = Annotated[str, text("a column's name")]
Function = Annotated[str, text("'module:function'", f"^(?:{FUNCTION})$")]
Texts = Annotated[tuple[Text, ...], Meta(min_length=1)]
Number = Annotated[float, Meta(ge=-MOST, le=MOST)]
Positive = Annotated[float, Meta(gt=0, le=MOST)]
Drop = Annotated[float, Meta(ge=0, le=MOST)]
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1, le=int(MOST))]
Whole = Annotated[int, Meta(ge=0, le=int(MOST))]
Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Usd = Annotated[float, Meta(ge=0, le=MOST_USD)]
Gates = dict[str, Number | Literal["omit"]]
Setting = bool | Integer | Number | Text
Json = dict[str, Any]
"""A table of any JSON values."""


Samples = Annotated[Count | None, key("How many rows; all of them when absent.")]
Seed = Annotated[Whole | None, key("Rows are taken after datasets' shuffle(seed=...); in their order when absent.")]
ReferenceColumns = Annotated[tuple[Column, ...], Meta(min_length=1, extra={"single": True})]


class Fields(Table, frozen=True, kw_only=False):
    """The columns that hold the parts of a sample."""

    id: Annotated[Column | None, key("The first 12 hex digits of the SHA-256 of the input when absent.")] = None
    input: Annotated[Column | None, key("'dialogue' when absent; beside a conversation its turns as text.")] = None
    reference: Annotated[ReferenceColumns, key("A column of texts or of lists of texts, or a list of columns.")] = ("summary",)


class DatasetKeys(Table, frozen=True):
    """The keys of `[dataset]` beside the selection of rows."""

    path: Annotated[Text, key("A Hub data set; a .jsonl, .json, .csv or .parquet file; or a folder with a file per split.")]
    revision: Annotated[Text | None, key("Of a Hub data set: a branch, tag or commit.")] = None
    fields: Annotated[Fields, key("The columns of a sample's parts; id, dialogue and summary when absent.")] = Fields("id")
    slices: Annotated[Texts, key("Columns of labels; samples with one label are a slice, scored apart.")] = ()
    slice_min: Annotated[Count, key("A slice of fewer samples is shown, not gated.")] = 20
    cluster: Annotated[Column | None, key("Samples that share this column's value aren't independent of each other.")] = None
    keep: Annotated[Texts, key("Further columns for tests and metrics.")] = ()


class DatasetTable(DatasetKeys, frozen=True):
    """The data set, and the rows of it that are evaluated."""

    split: Annotated[Text, key("The split that is evaluated.")] = "validation"
    samples: Samples = None
    seed: Seed = None


Role = Literal["system", "developer", "user", "assistant"]
SENT_BY_EVALTAPE = ("messages", "model", "stream", "n")
"""Keys of a call's body that no `request` may set."""


class MessageTable(Table, frozen=True):
    """A message."""

    role: Annotated[Role, key("Who says it.")]
    content: Annotated[Text, key("May name {input} and any other column.")]


Messages = Annotated[tuple[MessageTable, ...], Meta(min_length=1)]


class PromptTable(Table, frozen=True):
    """The messages of a call: {input} and every other column by its name are replaced by the sample's."""

    rules: ClassVar[Rules] = Rules(one_of=("user", "messages", "conversation"), apart=(("messages", "system"),))
    user: Annotated[Text | None, key("The user's message.")] = None
    system: Annotated[Text | None, key("The system message before it, or before a conversation.")] = None
    messages: Annotated[Messages | None, key("All messages, for few-shot prompts; the last one is the user's.")] = None
    conversation: Annotated[Column | None, key("A column of messages, { role, content } each; the last is the user's.")] = None


class AnswerTable(Table, frozen=True):
    """The part of the recorded text that is scored, found by these steps in the order of the file."""

    after: Annotated[Text | None, key("The text after the last occurrence of this one, as '</think>'.")] = None
    json: Annotated[Text | None, key("The value of this key of a JSON object, which stands in a code fence or bare.")] = None
    regex: Annotated[Text | None, key("The first group of this pattern, or all that it finds.")] = None
    function: Annotated[Function | None, key("The text that your function returns for the text.")] = None
    written: tuple[str, ...] = ()
    """The keys that the file has, in its order."""


class Price(Table, frozen=True, kw_only=False):
    """USD per million tokens."""

    input: Annotated[Usd, key("Of the prompt's tokens.")]
    output: Annotated[Usd, key("Of the answer's tokens.")]
    batch: Annotated[Share, key("The factor of both through the Batch API.")] = 1.0


class TrainingPrice(Price, frozen=True, kw_only=True):
    """USD per million tokens, of training and of the tuned model."""

    training: Annotated[Usd, key("Of trained tokens.")]


BaseUrl = Annotated[
    Text | None, key("An address that speaks OpenAI's API; that of OPENAI_BASE_URL or OpenAI's own when absent.")
]
KeyVariable = Annotated[
    Text | None, key("The name of the variable that holds the key, never a key; OPENAI_API_KEY when absent.")
]
Body = Annotated[Json, Meta(extra={"refused": SENT_BY_EVALTAPE})]
Request = Annotated[Body, key("Sent with every call. The value 'omit' removes a key that another table sets.")]
Answer = Annotated[AnswerTable | None, key("The part of the recorded text that is scored; all of it when absent.")]
ModelPrice = Annotated[Price | None, key("USD per million tokens.")]
GatesKey = Annotated[Gates, key("Per metric the bound on the mean score; 'omit' removes one of [defaults].")]
SliceGates = Annotated[dict[str, Number], key("Per metric the bound that no slice may be clearly beyond.")]
AllowFailed = Annotated[Whole, key("How many failed samples the gates put up with.")]


References = Annotated[Literal["best", "mean"], key("Of several references the best score, or the mean.")]
Tokenizer = Annotated[
    str,
    text("'rouge' (a-z and 0-9), 'unicode', or 'module:function'", f"^(?:rouge|unicode|{FUNCTION})$"),
    key("How words are told: 'rouge' (a-z and 0-9), 'unicode', or a function of your own."),
]


class MetricTable(Table, frozen=True):
    """The options of a metric."""

    written: tuple[str, ...] = ()
    """The options that the file has."""


class Rouge(MetricTable, frozen=True):
    """ROUGE by rouge_score, F1 in 0..1."""

    stemmer: Annotated[bool, key("Whether words are compared by their Porter stems.")] = False
    tokenizer: Tokenizer = "rouge"
    references: References = "best"


class Overlap(MetricTable, frozen=True):
    """chrF and BLEU by sacrebleu, per sample, in 0..1; they need the extra `metrics`."""

    references: References = "best"


class Exact(MetricTable, frozen=True):
    """1 if the answer is a reference, 0 if it isn't."""

    references: References = "best"


class Words(MetricTable, frozen=True):
    """How many words the answer has."""


class LatencyS(MetricTable, frozen=True):
    """Seconds that the call took when it was recorded."""


class CostUsd(MetricTable, frozen=True):
    """USD that the call cost when it was recorded."""


class OwnMetric(MetricTable, frozen=True):
    """A metric of your own."""

    rules: ClassVar[Rules] = Rules(one_of=("function", "judge"))
    function: Annotated[Function | None, key("A function of sample and answer.")] = None
    judge: Annotated[Text | None, key("A key under [judges].")] = None


METRICS: dict[str, type[MetricTable]] = {
    **{f"rouge{n}": Rouge for n in range(1, 10)},
    "rougeL": Rouge,
    "rougeLsum": Rouge,
    "chrf": Overlap,
    "bleu": Overlap,
    "exact": Exact,
    "words": Words,
    "latency_s": LatencyS,
    "cost_usd": CostUsd,
}
"""The metrics that are built in, by name."""
