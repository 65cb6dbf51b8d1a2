"""The service as an ASGI app: its routes, pages of lists, and errors in OpenAI's shape."""

import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request

from evaltape.local.batches import Batches
from evaltape.local.errors import ApiError, disk_full, server_error, unknown_object, unknown_url, wrong_method
from evaltape.local.inference.chat import Chat
from evaltape.local.inference.upstream import Upstream
from evaltape.local.model import Models
from evaltape.local.requests import BatchRequest, JobRequest, read_json, read_upload, refusal
from evaltape.local.state import Files, Row, is_full, public
from evaltape.local.training.jobs import Jobs
from evaltape.local.training.worker import Worker

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
Limit = Annotated[int, Query(ge=1, le=10_000)]
"""How many objects a page has at most."""


def make_app(
    *,
    files: Files,
    models: Models,
    inference: Chat | Upstream,
    jobs: Jobs,
    worker: Worker,
    batches: Batches,
    lifespan: Lifespan,
) -> FastAPI:
    """Return the service as an ASGI app."""
    # A redirect would lose a POST with many clients: a path with a slash too many is a wrong one.
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False, lifespan=lifespan)
    _add_errors(app)
    _add_models(app, models, inference)
    for path in inference.endpoints:
        app.post(path)(partial(inference.respond, path))
    _add_files(app, files)
    _add_jobs(app, models, jobs, worker)
    _add_batches(app, batches)
    return app


def page(rows: list[Row], after: str | None, limit: int) -> Row:
    """Return the page that follows the object with the id `after`. Raise `ApiError` if there is no such object."""
    if after:
        position = next((index for index, row in enumerate(rows) if row["id"] == after), None)
        if position is None:
            raise ApiError(f"No such object to continue after: {after}", param="after")
        rows = rows[position + 1 :]
    part = rows[:limit]
    ends = {"first_id": part[0]["id"], "last_id": part[-1]["id"]} if part else {"first_id": None, "last_id": None}
    return {"object": "list", "data": part, **ends, "has_more": len(rows) > limit}


def _add_errors(app: FastAPI) -> None:
    def of(request: Request, error: Any) -> ApiError:
        match error:
            case ApiError():
                return error
            case RequestValidationError():  # only queries are left to FastAPI; their errors begin with "query"
                return refusal([{**first, "loc": first["loc"][1:]} for first in error.errors()[:1]])
            case HTTPException(status_code=404):
                return unknown_url(request.method, request.url.path)
            case HTTPException(status_code=405):
                return wrong_method(request.method, request.url.path)
            case HTTPException():
                return ApiError(str(error.detail), status=error.status_code)
        return disk_full() if is_full(error) else server_error()

    async def answer(request: Request, error: Exception) -> JSONResponse:
        refused = of(request, error)
        return JSONResponse(refused.body(), refused.status)

    # Starlette raises an unexpected error again once it is answered, so the guard logs it.
    for kind in (ApiError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, answer)


def _add_models(app: FastAPI, models: Models, inference: Chat | Upstream) -> None:
    @app.get("/v1/models")
    def list_models() -> Row:
        return {"object": "list", "data": models.all()}

    @app.get("/v1/models/{name}")
    def retrieve_model(name: str) -> Row:
        return models.get(name)

    @app.delete("/v1/models/{name}")
    async def delete_model(name: str) -> Row:
        deleted = await run_in_threadpool(models.delete, name)
        await inference.forget(name)
        return deleted


def _add_files(app: FastAPI, files: Files) -> None:
    def found(name: str) -> Row:
        row = files.get(name)
        if row is None:
            raise unknown_object("File", name)
        return row

    @app.post("/v1/files")
    async def upload(request: Request) -> Row:
        sent = await read_upload(request)
        return await run_in_threadpool(
            files.add, sent.filename, sent.purpose, sent.pieces(), expires_after_s=sent.expires_after_s
        )

    @app.get("/v1/files")
    def list_files(
        purpose: str | None = None, after: str | None = None, limit: Limit = 10_000, order: Literal["asc", "desc"] = "desc"
    ) -> Row:
        rows = files.all(newest_first=order == "desc")
        return page([row for row in rows if purpose in (None, row["purpose"])], after, limit)

    @app.get("/v1/files/{name}")
    def retrieve_file(name: str) -> Row:
        return found(name)

    @app.get("/v1/files/{name}/content")
    def content(name: str) -> FileResponse:
        return FileResponse(files.path(found(name)["id"]), media_type="application/octet-stream")

    @app.delete("/v1/files/{name}")
    def delete_file(name: str) -> Row:
        if not files.delete(name):
            raise unknown_object("File", name)
        return {"id": name, "object": "file", "deleted": True}


def _add_jobs(app: FastAPI, models: Models, jobs: Jobs, worker: Worker) -> None:
    @app.post("/v1/fine_tuning/jobs")
    async def create_job(sent: Request) -> Row:
        request = await read_json(sent, JobRequest)
        if request.model != models.base["id"]:
            models.get(request.model)
            message = f"Model {request.model} is tuned already and can't be tuned again here: use {models.base['id']}."
            raise ApiError(message, param="model", code="model_not_available")
        job = jobs.create(request)
        worker.submit(job["id"])
        return job

    @app.get("/v1/fine_tuning/jobs")
    def list_jobs(request: Request, after: str | None = None, limit: Limit = 20) -> Row:
        return page(jobs.all(_metadata_filter(request)), after, limit)

    @app.get("/v1/fine_tuning/jobs/{name}")
    def retrieve_job(name: str) -> Row:
        return public(jobs.get(name))

    @app.post("/v1/fine_tuning/jobs/{name}/cancel")
    async def cancel_job(name: str) -> Row:
        job = jobs.cancel(name)
        worker.stop(name)
        return job

    @app.post("/v1/fine_tuning/jobs/{name}/resume")
    async def resume_job(name: str) -> Row:
        job = jobs.resume(name)
        worker.submit(name)
        return job

    @app.get("/v1/fine_tuning/jobs/{name}/events")
    def list_events(name: str, after: str | None = None, limit: Limit = 20) -> Row:
        return page(jobs.parts("events", name), after, limit)

    @app.get("/v1/fine_tuning/jobs/{name}/checkpoints")
    def list_checkpoints(name: str, after: str | None = None, limit: Limit = 10) -> Row:
        return page(jobs.parts("checkpoints", name), after, limit)


def _metadata_filter(request: Request) -> dict[str, str] | Literal["null"] | None:
    """Return the `metadata[key]=value` pairs; "null" for jobs without metadata; None for all jobs."""
    if request.query_params.get("metadata") == "null":
        return "null"
    pairs = [(re.fullmatch(r"metadata\[(.*)\]", name, re.DOTALL), value) for name, value in request.query_params.multi_items()]
    return {key[1]: value for key, value in pairs if key} or None


def _add_batches(app: FastAPI, batches: Batches) -> None:
    @app.post("/v1/batches")
    async def create_batch(request: Request) -> Row:
        return batches.create(await read_json(request, BatchRequest))

    @app.get("/v1/batches")
    def list_batches(after: str | None = None, limit: Limit = 20) -> Row:
        return page(batches.all(), after, limit)

    @app.get("/v1/batches/{name}")
    def retrieve_batch(name: str) -> Row:
        return batches.get(name)

    @app.post("/v1/batches/{name}/cancel")
    def cancel_batch(name: str) -> Row:
        return batches.cancel(name)
