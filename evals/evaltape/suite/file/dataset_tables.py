"""The table of the data set, and the keys that select rows."""

from typing import Annotated

from msgspec import Meta

from evaltape.suite.file.values import Column, Count, Table, Text, Texts, Whole, key

Samples = Annotated[Count | None, key("How many rows; all of them when absent.")]
Seed = Annotated[Whole | None, key("Rows are taken after datasets' shuffle(seed=...); in their order when absent.")]
References = Annotated[tuple[Column, ...], Meta(min_length=1, extra={"single": True})]


class Fields(Table, frozen=True, kw_only=False):
    """The columns that hold the parts of a sample."""

    id: Annotated[Column | None, key("The first 12 hex digits of the SHA-256 of the input when absent.")] = None
    input: Annotated[Column | None, key("'dialogue' when absent; beside a conversation its turns as text.")] = None
    reference: Annotated[References, key("A column of texts or of lists of texts, or a list of columns.")] = ("summary",)


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
