"""The Batch API of a host: batches are created, listed, looked at and cancelled, and their files read."""

import contextlib
from collections.abc import Collection, Iterable
from functools import cache, partial
from tempfile import TemporaryFile
from typing import Any

import msgspec

from evaltape.errors import RecordingError, UserError
from evaltape.finetuning.host import Api, RemoteJob, as_text
from evaltape.finetuning.services import Service
from evaltape.recorder.api.asking import Asking
from evaltape.recorder.api.client import Endpoint
from evaltape.recorder.api.failures import NO_ROUTE, CallFailed, words_of
from evaltape.recorder.batches.lines import CUSTOM_ID, URL
from evaltape.recorder.tuning.hosts import OpenAIHost, read_job
from evaltape.recording.cassettes import digest_of
from evaltape.recording.model_calls import ModelCalls, call_of
from evaltape.recording.unfinished import read_unfinished
from evaltape.recording.verdicts import AGAIN
from evaltape.suite.definition import Model
from evaltape.workspace import Workspace

BATCHES = "/batches"
SUITE, MODEL, DIGEST = "evaltape_suite", "evaltape_model", "evaltape_digest"
"""Keys of a batch's metadata."""


class RemoteBatch(RemoteJob, frozen=True):
    """A batch as the API describes it: a job like any other, of requests."""

    input_file: str | None = None
    output_file: str | None = None
    error_file: str | None = None
    total: int = 0
    done: int = 0
    """Requests that have ended, with an answer or an error."""


class BatchHost(OpenAIHost):
    """OpenAI's Batch API."""

    def __init__(self, api: Api) -> None:
        super().__init__(api, Service(purpose="batch"))

    async def create(self, input_file: str, metadata: dict[str, str]) -> RemoteBatch:
        """Submit a batch, in a single attempt."""
        order = {"input_file_id": input_file, "endpoint": URL, "completion_window": "24h", "metadata": metadata}
        return _read_batch(await self._api.post(BATCHES, order))

    async def batches(self, model: Model) -> list[RemoteBatch]:
        """Return the batches of a model or judge, the oldest first. Raises `CallFailed` if not all can be listed."""
        items, unfinished = await self._pages(BATCHES, {})
        if unfinished is not None:
            raise CallFailed(unfinished)
        found = [_read_batch(item) for item in items]
        ours = (one for one in found if (one.metadata.get(SUITE), one.metadata.get(MODEL)) == (model.suite, model.key))
        return sorted(ours, key=lambda one: one.age)

    async def look_at(self, batch: str) -> RemoteBatch:
        """Return a batch as it stands now."""
        return _read_batch(await self._api.get(f"{BATCHES}/{batch}"))


def _read_batch(value: Any) -> RemoteBatch:
    """Read a batch from an API's JSON, leniently. Raise `CallFailed` for an answer that is no batch."""
    if not isinstance(value, dict) or not isinstance(value.get("id"), str) or not isinstance(value.get("status"), str):
        raise CallFailed("the answer is no batch")
    job, errors, counts = read_job(value), value.get("errors"), value.get("request_counts")
    total, *ended = ((counts if isinstance(counts, dict) else {}).get(key) for key in ("total", "completed", "failed"))
    return RemoteBatch(
        job.id,
        job.status,
        job.created,
        metadata=job.metadata,
        reason=words_of(errors.get("data") if isinstance(errors, dict) else errors),
        input_file=as_text(value.get("input_file_id")),
        output_file=as_text(value.get("output_file_id")),
        error_file=as_text(value.get("error_file_id")),
        total=total if isinstance(total, int) else 0,
        done=sum(count for count in ended if isinstance(count, int)),
    )


class _Named(msgspec.Struct):
    custom_id: str


async def names_in(asking: Asking, file_id: str | None) -> set[str] | None:
    """Return the `custom_id`s of a batch's file; None if there is no file, or the API doesn't have it any more."""
    if file_id is None:
        return None
    with TemporaryFile() as file:
        try:
            await asking.download(file_id, file)
        except CallFailed as failure:
            if failure.status in (*NO_ROUTE, 410):
                return None
            raise
        file.seek(0)
        names = set()
        for line in file:
            with contextlib.suppress(msgspec.MsgspecError):
                names.add(msgspec.json.decode(line, type=_Named).custom_id)
        return names


async def refuse_without_batches(model: Model, endpoint: Endpoint) -> None:
    """Raise `UserError` if a model's API has no batches. An API that can't be asked now is left for later."""
    try:
        await endpoint.call(lambda: endpoint.client.batches.with_raw_response.list(limit=1))
    except CallFailed as failure:
        if failure.status in NO_ROUTE:
            raise UserError(
                f"{model.key}: {endpoint.base_url} has no Batch API ({failure.message}). Leave out --batch to ask one by one; "
                "--requests-to DIR in its place writes the requests for an engine that reads files, such as vllm run-batch"
            ) from None
    finally:
        await endpoint.close()


def still_of_use(workspace: Workspace, names: Iterable[str], asked: Iterable[str]) -> int:
    """Return how many of a batch's requests, by their `custom_id`, have no recording yet, and may get one later.

    `asked` are the `custom_id`s of today's calls: a request of the same call that isn't among them is out of date.
    """
    calls = {name.rpartition("@")[0] for name in asked}
    samples = {sample.name for sample in workspace.samples}
    recorded = cache(partial(_Recorded, workspace))
    count = 0
    for name in names:
        known = CUSTOM_ID.fullmatch(name)
        if known is None or known["call"] in calls:
            continue
        folder, _, file = known["call"].partition("/")[2].rpartition("/")
        if call_of(file)[0].partition(AGAIN)[0] in samples:
            count += not recorded(folder).has(file, known["digest"])
    return count


class _Recorded:
    """The recordings in a folder of a suite that count today."""

    def __init__(self, workspace: Workspace, folder: str) -> None:
        self._calls = ModelCalls(workspace.folder, folder)
        self._to_come: Collection[str] = ()
        with contextlib.suppress(RecordingError):
            unfinished = read_unfinished(workspace.folder, folder)
            self._to_come = unfinished.still_to_come() if unfinished else ()

    def has(self, name: str, digest: str) -> bool:
        """Return whether a call is recorded with a request of this digest."""
        with contextlib.suppress(RecordingError):
            return name not in self._to_come and any(digest_of(it.asked) == digest for it in self._calls.read(name))
        return False
