"""What goes wrong: a mistake of the person who starts the service, or a request answered with OpenAI's error body."""

from typing import Any


class UserError(Exception):
    """A mistake in starting the service: shown as one message without a traceback, exit code 4."""


class ApiError(Exception):
    """A request that is refused, with the status and the body OpenAI's API gives."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.param = param
        self.code = code

    def body(self) -> dict[str, Any]:
        """The JSON of the answer."""
        error = {"message": str(self), "type": self.kind, "param": self.param, "code": self.code}
        return {"error": error}


def unknown_url(method: str, path: str) -> ApiError:
    """A path the service doesn't have; for those a user may look for, with what serves them instead."""
    hint = ""
    if path.startswith(("/v1/responses", "/v1/batches", "/v1/completions", "/v1/embeddings")):
        hint = ". The local service has /v1/models, /v1/chat/completions, /v1/files and /v1/fine_tuning/jobs"
    return ApiError(f"Invalid URL ({method} {path}){hint}", status=404)


def unknown_model(name: str) -> ApiError:
    """A model that isn't served."""
    message = f"The model '{name}' does not exist or you do not have access to it. GET /v1/models lists what is served"
    return ApiError(message, status=404, param="model", code="model_not_found")


def unknown_object(kind: str, name: str, param: str = "id") -> ApiError:
    """A file, a job or the like that doesn't exist."""
    return ApiError(f"No such {kind} object: {name}", status=404, param=param)
