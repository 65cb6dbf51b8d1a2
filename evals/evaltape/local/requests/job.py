"""The body of a request for a fine-tuning job."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from evaltape.local.errors import ApiError
from evaltape.local.requests.metadata import Metadata
from evaltape.local.requests.refusal import shortened

STRICT = ConfigDict(strict=True, extra="forbid")


class Hyperparameters(BaseModel):
    """How to train; "auto" leaves a number to the service."""

    model_config = STRICT
    n_epochs: Literal["auto"] | int = "auto"
    batch_size: Literal["auto"] | int = "auto"
    learning_rate_multiplier: Literal["auto"] | float = "auto"

    @field_validator("n_epochs", mode="before")
    @classmethod
    def _check_epochs(cls, value: Any) -> Any:
        return _auto_or_whole(value, 50)

    @field_validator("batch_size", mode="before")
    @classmethod
    def _check_batch(cls, value: Any) -> Any:
        return _auto_or_whole(value, 256)

    @field_validator("learning_rate_multiplier", mode="before")
    @classmethod
    def _check_rate(cls, value: Any) -> Any:
        return _auto_or_number(value, 0.01, 100)


class Supervised(BaseModel):
    """The settings of supervised fine-tuning."""

    model_config = STRICT
    hyperparameters: Hyperparameters | None = None


class Method(BaseModel):
    """The way of fine-tuning."""

    model_config = ConfigDict(strict=True, extra="allow")
    type: str
    supervised: Supervised | None = None


class JobRequest(BaseModel):
    """The body of `POST /v1/fine_tuning/jobs`."""

    model_config = STRICT
    model: str
    training_file: str
    validation_file: str | None = None
    hyperparameters: Hyperparameters | None = None
    method: Method | None = None
    suffix: str | None = Field(None, min_length=1, max_length=64)
    seed: int | None = Field(None, ge=0, lt=2**31)
    metadata: Metadata = None
    integrations: list[Any] | None = Field(None, max_length=0)

    def chosen(self) -> Hyperparameters:
        """Return the hyperparameters, from `method` or the older `hyperparameters`. Raise `ApiError` if they conflict."""
        if self.method is None:
            return self.hyperparameters or Hyperparameters()
        if self.method.type != "supervised":
            message = f"Method {shortened(self.method.type)} is not supported here. Valid: 'supervised'."
            raise ApiError(message, param="method.type", code="unsupported_value")
        if self.hyperparameters is not None:
            message = "'hyperparameters' and 'method' can't be given together: put them into 'method'."
            raise ApiError(message, param="hyperparameters", code="invalid_parameter_combination")
        return (self.method.supervised and self.method.supervised.hyperparameters) or Hyperparameters()


def _auto_or_whole(value: Any, high: int) -> Any:
    if isinstance(value, float):
        raise ValueError(f"must be 'auto' or a whole number, not {shortened(value)}")
    return _auto_or_number(value, 1, high)


def _auto_or_number(value: Any, low: float, high: float) -> Any:
    if value is None or value == "auto":
        return "auto"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"must be 'auto' or a number, not {shortened(value)}")
    if not low <= value <= high:
        raise ValueError(f"must be 'auto' or from {low} to {high}, not {shortened(value)}")
    return value
