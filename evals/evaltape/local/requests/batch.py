"""The body of a request for a batch, and the lines of its input file."""

import json
from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from pydantic import BaseModel, Field

from evaltape.local.errors import ApiError
from evaltape.local.requests.body import STRICT, Metadata, shortened
from evaltape.local.requests.upload import LONGEST_S, SHORTEST_S

MOST_LINES = 50_000
MOST_FINDINGS = 20
"""A failed batch lists so many."""


class OutputExpiry(BaseModel):
    """How long the output and the error file are kept."""

    model_config = STRICT
    anchor: Literal["created_at"]
    seconds: int = Field(ge=SHORTEST_S, le=LONGEST_S)


class BatchRequest(BaseModel):
    """The body of `POST /v1/batches`."""

    model_config = STRICT
    input_file_id: str
    endpoint: str
    completion_window: Literal["24h"]
    metadata: Metadata = None
    output_expires_after: OutputExpiry | None = None

    def check(self, endpoints: Iterable[str]) -> None:
        """Raise `ApiError` for an endpoint that batches don't reach here."""
        if self.endpoint not in endpoints:
            message = f"Invalid value: {shortened(self.endpoint)}. Batches here are answered by {' or '.join(endpoints)}."
            raise ApiError(message, param="endpoint", code="invalid_value")


class Input(msgspec.Struct):
    """A batch's input file, read through; without findings it is valid."""

    endpoint: str
    model: str | None = None
    """The model that the lines ask."""
    custom_ids: set[str] = msgspec.field(default_factory=set)
    findings: list[dict[str, Any]] = msgspec.field(default_factory=list)
    """`{"code", "line", "message", "param"}` each, as the API lists them."""

    def read(self, lines: Iterable[bytes]) -> "Input":
        """Check all lines, up to the first twenty findings."""
        for number, line in enumerate(lines, 1):
            if line.strip():
                self._check(line, number)
            if len(self.findings) >= MOST_FINDINGS:
                return self
        if not self.custom_ids and not self.findings:
            self._find(None, "empty_file", "The input file has no requests.")
        if len(self.custom_ids) > MOST_LINES:
            self._find(None, "too_many_requests", f"The file has more than {MOST_LINES:,} requests.")
        return self

    def _check(self, line: bytes, number: int) -> None:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict):
            return self._find(number, "invalid_json_line", "This line is not parseable as valid JSON.")
        self._check_id(request.get("custom_id"), number)
        if request.get("method") != "POST":
            self._find(number, "invalid_method", f"method is {shortened(request.get('method'))}; valid: 'POST'.", "method")
        if request.get("url") != self.endpoint:
            message = f"url is {shortened(request.get('url'))}; valid: the batch's endpoint '{self.endpoint}'."
            self._find(number, "invalid_url", message, "url")
        body = request.get("body")
        model = body.get("model") if isinstance(body, dict) else None
        if not isinstance(model, str):
            return self._find(number, "missing_required_parameter", "Missing required parameter: 'body.model'.", "body.model")
        if model != (self.model or model):
            message = f"model is {shortened(model)}, in the lines before {shortened(self.model)}: a batch asks one model."
            self._find(number, "mismatched_model", message, "body.model")
        self.model = self.model or model

    def _check_id(self, custom_id: Any, number: int) -> None:
        if not isinstance(custom_id, str) or any("\ud800" <= letter <= "\udfff" for letter in custom_id):
            message = "Missing required parameter: 'custom_id', a text."
            return self._find(number, "missing_required_parameter", message, "custom_id")
        if custom_id in self.custom_ids:
            message = f"The custom_id {shortened(custom_id)} stands in an earlier line: each must be unique."
            self._find(number, "duplicate_custom_id", message, "custom_id")
        self.custom_ids.add(custom_id)

    def _find(self, line: int | None, code: str, message: str, param: str | None = None) -> None:
        text = message.encode("utf-8", "backslashreplace").decode()
        self.findings.append({"code": code, "line": line, "message": text, "param": param})
