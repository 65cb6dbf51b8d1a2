"""The body of a request for a fine-tuning job."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from evaltape.local.errors import ApiError
from evaltape.local.requests.body import STRICT, Metadata, shortened


def _between(low: float, high: float, *, whole: bool = False) -> BeforeValidator:
    def check(value: Any) -> Any:
        if value is None or value == "auto":
            return "auto"
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"must be 'auto' or a number, not {shortened(value)}")
        if whole and not isinstance(value, int):
            raise ValueError(f"must be 'auto' or a whole number, not {shortened(value)}")
        if not low <= value <= high:
            raise ValueError(f"must be 'auto' or from {low} to {high}, not {shortened(value)}")
        return value

    return BeforeValidator(check)


class Hyperparameters(BaseModel):
    """How to train; "auto" leaves a number to the service."""

    model_config = STRICT
    n_epochs: Annotated[Literal["auto"] | int, _between(1, 50, whole=True)] = "auto"
    batch_size: Annotated[Literal["auto"] | int, _between(1, 256, whole=True)] = "auto"
    learning_rate_multiplier: Annotated[Literal["auto"] | float, _between(0.01, 100)] = "auto"


class DpoHyperparameters(Hyperparameters):
    """How to train on preferences."""

    beta: Annotated[Literal["auto"] | float, _between(0.001, 2)] = "auto"


class Supervised(BaseModel):
    """The settings of supervised fine-tuning."""

    model_config = STRICT
    hyperparameters: Hyperparameters | None = None


class Dpo(BaseModel):
    """The settings of direct preference optimisation."""

    model_config = STRICT
    hyperparameters: DpoHyperparameters | None = None


class Method(BaseModel):
    """The way of fine-tuning."""

    model_config = ConfigDict(strict=True, extra="allow")
    type: str
    supervised: Supervised | None = None
    dpo: Dpo | None = None


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

    def chosen(self) -> tuple[str, Hyperparameters]:
        """Return the method and its hyperparameters. Raise `ApiError` for another method, or if they are given twice."""
        if self.method is None:
            return "supervised", self.hyperparameters or Hyperparameters()
        if self.hyperparameters is not None:
            message = "'hyperparameters' and 'method' can't be given together: put them into 'method'."
            raise ApiError(message, param="hyperparameters", code="invalid_parameter_combination")
        if self.method.type == "supervised":
            return "supervised", (self.method.supervised and self.method.supervised.hyperparameters) or Hyperparameters()
        if self.method.type == "dpo":
            return "dpo", (self.method.dpo and self.method.dpo.hyperparameters) or DpoHyperparameters()
        message = f"Method {shortened(self.method.type)} is not supported here. Valid: 'supervised', 'dpo'."
        raise ApiError(message, param="method.type", code="unsupported_value")
