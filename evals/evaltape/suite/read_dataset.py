"""Reads `[dataset]` of a suite file, and the splits that fine-tuning jobs name."""

from evaltape.suite.definition import Dataset, Fields, Split
from evaltape.suite.table import Table


def read_dataset(table: Table, fields: Fields) -> Dataset:
    """Return the data set with the fields that were read before."""
    return Dataset(
        path=table.take("path"),
        fields=fields,
        split=read_split(table),
        revision=table.take("revision"),
        slices=table.take("slices"),
        slice_min=table.take("slice_min"),
        cluster=table.take("cluster"),
        keep=table.take("keep"),
    )


def read_fields(dataset: Table) -> Fields:
    """Return the columns that hold the parts of a sample: the default ones if the suite names none at all.

    An `input` that isn't named is None, until it is known whether a conversation stands in for it.
    """
    table = dataset.table("fields")
    if table is None:
        return Fields(input=None)
    reference = table.take("reference")
    return Fields(table.take("id"), table.take("input"), reference if isinstance(reference, tuple) else (reference,))


def read_split(table: Table) -> Split:
    """Return the selection of rows that a table names."""
    return Split(table.take("split"), table.take("samples"), table.take("seed"))
