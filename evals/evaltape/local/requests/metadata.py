"""Metadata that clients attach to jobs and batches."""

from typing import Annotated

from pydantic import AfterValidator, Field


def _check(metadata: dict[str, str] | None) -> dict[str, str] | None:
    for key, value in (metadata or {}).items():
        if len(key) > 64 or len(value) > 512:
            raise ValueError(f"key '{key[:64]}': keys have at most 64 characters, values at most 512")
    return metadata


Metadata = Annotated[Annotated[dict[str, str], Field(max_length=16)] | None, AfterValidator(_check)]
"""At most 16 pairs of texts."""
