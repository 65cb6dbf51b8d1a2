"""OpenAI's error bodies for requests that are refused or fail."""

from typing import Any

MOST_CHARACTERS = 1000
"""A longer message is cut: it may quote the request."""

SERVED = "/v1/models, /v1/chat/completions, /v1/files, /v1/batches and /v1/fine_tuning/jobs"
NOT_SERVED = {
    "/v1/responses": "use /v1/chat/completions (inspect_ai: --model openai-api/local/MODEL), or serve with --inference",
    "/v1/completions": "use /v1/chat/completions",
    "/v1/embeddings": "the model served here answers chats only",
    "/v1/moderations": "the model served here answers chats only",
    "/v1/uploads": "upload the file to /v1/files in one piece",
}
"""Routes of OpenAI's that a client may look for, and their replacements."""


class ApiError(Exception):
    """A refused or failed request: its status, and the fields of OpenAI's error body."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(_short(message, MOST_CHARACTERS))
        self.status = status
        self.kind = kind
        self.param = param and _short(param, 200)
        self.code = code

    def body(self) -> dict[str, Any]:
        """Return the JSON of the answer."""
        error = {"message": str(self), "type": self.kind, "param": self.param, "code": self.code}
        return {"error": error}


def unknown_url(method: str, path: str) -> ApiError:
    """Return the error for an unknown path; for a route of OpenAI's it names the replacement."""
    route = next((route for route in NOT_SERVED if path == route or path.startswith(f"{route}/")), None)
    if route:
        message = f"Invalid URL ({method} {path}): the local service has no {route}, {NOT_SERVED[route]}. It has {SERVED}"
        return ApiError(message, status=404, code="unsupported_endpoint")
    hint = "" if path.startswith("/v1/") else ": paths begin with /v1, and so the client's base URL ends with it"
    return ApiError(f"Invalid URL ({method} {path}){hint}", status=404)


def wrong_method(method: str, path: str) -> ApiError:
    """Return the error for a path that is served, but not for this method."""
    return ApiError(f"Not allowed to {method} on {path}.", status=405, code="method_not_supported")


def unknown_model(name: str) -> ApiError:
    """Return the error for a model that isn't served."""
    message = f"The model '{_short(name, 100)}' does not exist or you do not have access to it. "
    return ApiError(message + "GET /v1/models lists what is served", status=404, param="model", code="model_not_found")


def unknown_object(kind: str, name: str, param: str = "id") -> ApiError:
    """Return the error for a file, a job or the like that doesn't exist."""
    return ApiError(f"No such {kind} object: {_short(name, 100)}", status=404, param=param)


def server_error() -> ApiError:
    """Return the error for a failure of the service itself; its log has the details."""
    message = "The server had an error while processing your request: see the terminal of `evaltape serve`"
    return ApiError(message, status=500, kind="server_error")


def disk_full() -> ApiError:
    """Return the error for a request that needs room on a full disk."""
    message = "The disk of the local service is full, so nothing was stored. Free some space, or delete files and models"
    return ApiError(message, status=507, kind="server_error", code="insufficient_storage")


def _short(text: str, longest: int) -> str:
    """Return a text that JSON can carry, cut to `longest` characters."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= longest else text[: longest - 3] + "..."
