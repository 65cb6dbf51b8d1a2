"""Loads data sets of the Hugging Face Hub, and selects rows, through the `datasets` library."""

from collections.abc import Sequence
from typing import Any

from evaltape.samples.local_files import Row, Rows


def hub_rows(path: str, revision: str | None, split: str) -> Rows:
    """Load a split. Raises whatever the library raises if it can't.

    The library infers types if a data set states none, in CSV files even of texts: these are loaded again as texts
    alone, so that an id of 007 stays one.
    """
    import datasets
    from datasets.packaged_modules.csv.csv import CsvConfig

    datasets.disable_progress_bars()
    builder = datasets.load_dataset_builder(path, revision=revision)
    is_csv = isinstance(builder.config, CsvConfig) and builder.info.features is None
    loaded = datasets.load_dataset(path, revision=revision, split=split)
    if is_csv:
        texts = datasets.Features({column: datasets.Value("string") for column in loaded.column_names})
        how = {"features": texts, "keep_default_na": False, "na_values": [""]}
        loaded = datasets.load_dataset(path, revision=revision, split=split, **how)

    def pick(numbers: Sequence[int], wanted: Sequence[str]) -> list[Row]:
        return list(loaded.select_columns(list(wanted)).select(numbers))

    return Rows(tuple(loaded.column_names), len(loaded), pick, is_text=is_csv)


def shuffled(count: int, seed: int, samples: int) -> list[int]:
    """Return the numbers of the rows that `shuffle(seed=seed).select(range(samples))` takes of `count`."""
    import datasets

    numbers: Any = datasets.Dataset.from_dict({"number": range(count)})
    return list(numbers.shuffle(seed=seed, keep_in_memory=True).select(range(samples))["number"])
