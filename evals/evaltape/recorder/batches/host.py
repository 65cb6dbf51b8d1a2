"""The Batch API of a host: batches are created, listed, looked at and cancelled, and their files read."""

from typing import IO, Any

import msgspec

from evaltape.errors import UserError
from evaltape.finetuning.host import Api
from evaltape.finetuning.services import Phase, Service, phase_of
from evaltape.recorder.api.asking import Asking
from evaltape.recorder.api.client import Endpoint
from evaltape.recorder.api.failures import CallFailed, words_of
from evaltape.recorder.batches.lines import URL
from evaltape.recorder.tuning.hosts import OpenAIHost
from evaltape.suite.definition import Model

BATCHES = "/batches"
NONE_SUCH = (404, 405, 501)
"""What an API answers that has no batches, and for a file that is gone."""
SUITE, MODEL, DIGEST = "evaltape_suite", "evaltape_model", "evaltape_digest"
"""Keys of a batch's metadata."""


class RemoteBatch(msgspec.Struct, frozen=True):
    """A batch as the API describes it."""

    id: str
    status: str
    created_at: float = 0.0
    input_file: str | None = None
    output_file: str | None = None
    error_file: str | None = None
    metadata: dict[str, Any] = {}
    total: int = 0
    done: int = 0
    """Requests that have ended, with an answer or an error."""
    why: str = ""
    """Why the API refused it."""

    @property
    def is_under_way(self) -> bool:
        """Whether answers may still come."""
        return phase_of(self.status).is_under_way

    @property
    def was_refused(self) -> bool:
        """Whether the API asked nothing of it."""
        return phase_of(self.status) is Phase.FAILED and self.status.lower() != "expired"

    @property
    def age(self) -> tuple[float, str]:
        """What batches are sorted by, the oldest first."""
        return (self.created_at, self.id)


class BatchHost(OpenAIHost):
    """OpenAI's Batch API."""

    def __init__(self, api: Api) -> None:
        super().__init__(api, Service(purpose="batch"))

    async def create(self, input_file: str, metadata: dict[str, str]) -> RemoteBatch:
        """Submit a batch: one attempt."""
        order = {"input_file_id": input_file, "endpoint": URL, "completion_window": "24h", "metadata": metadata}
        return _read_batch(await self._api.post(BATCHES, order))

    async def batches(self, suite: str, model: str) -> list[RemoteBatch]:
        """Return the batches of a model of a suite, the oldest first. Raises `CallFailed` if not all can be listed."""
        items, unfinished = await self._pages(BATCHES, {})
        if unfinished is not None:
            raise CallFailed(unfinished)
        found = [_read_batch(item) for item in items]
        return sorted((one for one in found if _is_of(one, suite, model)), key=lambda one: one.age)

    async def look_at(self, batch: str) -> RemoteBatch:
        """Return a batch as it stands now."""
        return _read_batch(await self._api.get(f"{BATCHES}/{batch}"))

    async def give_up(self, batch: str) -> None:
        """Cancel a batch; again if the answer is lost, which does no harm."""
        await self._api.post(f"{BATCHES}/{batch}/cancel", again=True)


def _is_of(batch: RemoteBatch, suite: str, model: str) -> bool:
    return (batch.metadata.get(SUITE), batch.metadata.get(MODEL)) == (suite, model)


def _read_batch(value: Any) -> RemoteBatch:
    """Read a batch from an API's JSON, leniently. Raise `CallFailed` for an answer that is no batch."""
    if not isinstance(value, dict) or not isinstance(value.get("id"), str) or not isinstance(value.get("status"), str):
        raise CallFailed("the answer is no batch")
    counts, metadata, created = value.get("request_counts"), value.get("metadata"), value.get("created_at")
    counts = counts if isinstance(counts, dict) else {}
    files = {name: _text(value.get(f"{name}_id")) for name in ("input_file", "output_file", "error_file")}
    errors = value.get("errors")
    return RemoteBatch(
        value["id"],
        value["status"],
        float(created) if isinstance(created, int | float) else 0.0,
        **files,
        metadata=metadata if isinstance(metadata, dict) else {},
        total=_number(counts.get("total")),
        done=_number(counts.get("completed")) + _number(counts.get("failed")),
        why=words_of(errors.get("data") if isinstance(errors, dict) else errors),
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


# ---------------------------------------------------------------- files


async def names_in(asking: Asking, file_id: str, into: IO[bytes]) -> set[str] | None:
    """Return the `custom_id`s of a batch's file, which `into` then holds; None if the API doesn't have it any more."""
    try:
        await asking.download(file_id, into)
    except CallFailed as failure:
        if failure.status in (*NONE_SUCH, 410):
            return None
        raise
    into.seek(0)
    return {name for line in into if (name := _name_in(line)) is not None}


def _name_in(line: bytes) -> str | None:
    try:
        value = msgspec.json.decode(line)
        return _text(value.get("custom_id"))
    except (msgspec.MsgspecError, AttributeError):
        return None


# ---------------------------------------------------------------- before anything is asked


async def refuse_without_batches(model: Model, endpoint: Endpoint) -> None:
    """Raise `UserError` if a model's API has no batches. An API that can't be asked now is left for later."""
    try:
        await endpoint.call(lambda: endpoint.client.batches.with_raw_response.list(limit=1))
    except CallFailed as failure:
        if failure.status in NONE_SUCH:
            raise UserError(
                f"{model.key}: {endpoint.base_url} has no Batch API ({failure.message}). Leave out --batch to ask one by one; "
                "--requests-to DIR in its place writes the requests for an engine that reads files, such as vllm run-batch"
            ) from None
    finally:
        await endpoint.close()
