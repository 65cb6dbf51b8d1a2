"""Compares a host's description of a job with its order: base, hyperparameters, seed, suffix and method, in any spelling."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from evaltape.finetuning.host import RemoteJob
from evaltape.finetuning.jobs import epochs_of, service_of
from evaltape.suite.definition import Finetune


class Difference(msgspec.Struct, frozen=True):
    """One thing that a host states otherwise than it was asked for."""

    key: str
    asked: Any
    told: Any
    may_cost_more: bool = False

    def __str__(self) -> str:
        return f"{self.key} {self.told!r}, asked for {self.asked!r}"


def differences(job: Finetune, told: RemoteJob) -> tuple[Difference, ...]:
    """Return how a host's description differs from the order. A key that isn't stated is no difference."""
    return (*settings_differences(job, told), *_named_otherwise(job, told))


def settings_differences(job: Finetune, told: RemoteJob) -> tuple[Difference, ...]:
    """The same for base, hyperparameters and seed alone, which make two jobs the same beside their training file."""
    return tuple(_settings(job, told))


def is_told_alike(one: RemoteJob, other: RemoteJob) -> bool:
    """Return whether a host states the same base, hyperparameters and seed of two jobs."""
    return (
        is_same_model(one.base, other.base)
        and dict(one.hyperparameters) == dict(other.hyperparameters)
        and one.seed == other.seed
    )


def told_settings(told: RemoteJob) -> dict[str, Any]:
    """Return the settings that a host says it trains by, for the recording."""
    stated = {**told.hyperparameters, "seed": told.seed, "method": told.method}
    return {key: value for key, value in stated.items() if value is not None}


def _settings(job: Finetune, told: RemoteJob) -> Iterator[Difference]:
    if told.base and not is_same_model(job.base.served, told.base):
        yield Difference("base", job.base.served, told.base, may_cost_more=True)
    for key, asked in job.hyperparameters.items():
        stated = told.hyperparameters.get(key)
        if not _agree(asked, stated):
            yield Difference(
                key, asked, stated, may_cost_more=key == "n_epochs" and _is_more(job.hyperparameters, told.hyperparameters)
            )
    seed = job.seed if service_of(job).takes_seed else None
    if seed is not None and told.seed not in (None, seed):
        yield Difference("seed", seed, told.seed)


def _named_otherwise(job: Finetune, told: RemoteJob) -> Iterator[Difference]:
    suffix = job.suffix if service_of(job).takes_suffix else None
    if suffix and told.suffix and suffix.casefold() != told.suffix.casefold():
        yield Difference("suffix", suffix, told.suffix)
    if told.method not in (None, "supervised"):
        yield Difference("method", "supervised", told.method, may_cost_more=True)


def is_same_model(asked: str, told: str) -> bool:
    """Return whether two names may be of one model.

    Case and punctuation may differ, and a name may stand under a path (`accounts/acme/models/`), with a version (`@001`) or a
    date behind it, or without the date that was asked for.
    """
    (one, one_undated), (other, other_undated) = _letters(asked), _letters(told)
    return one in (other, other_undated) or one_undated == other


def _letters(name: str) -> tuple[str, str]:
    """Return a model's name in letters and digits alone, and the same without the date behind it."""
    last = name.rstrip("/").rpartition("/")[2].lower().partition("@")[0]
    undated = re.sub(r"(?<=.)[-_.](?:20\d\d[-_.]?\d\d[-_.]?\d\d|\d{4})$", "", last)
    return re.sub(r"[^a-z0-9]", "", last), re.sub(r"[^a-z0-9]", "", undated)


def _agree(asked: Any, stated: Any) -> bool:
    """Whether a stated hyperparameter may be the value that was asked for: `auto`, or -1, is stated as the number it became."""
    if stated is None or "auto" in (asked, stated) or stated == -1:
        return True
    try:
        return float(asked) == float(stated)
    except (TypeError, ValueError):
        return bool(asked == stated)


def _is_more(asked: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
    epochs, stated = epochs_of(asked), epochs_of(told)
    return stated is None or epochs is None or stated > epochs
