"""The HTTP side: routes, and errors in OpenAI's shape."""

import re
from typing import Annotated, Literal

from fastapi import FastAPI, File, Form, Query, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp

from evaltape.local.chat import Chat
from evaltape.local.errors import ApiError, unknown_object, unknown_url
from evaltape.local.guard import Guard
from evaltape.local.jobs import Jobs
from evaltape.local.models import Models
from evaltape.local.requests import ChatRequest, JobRequest, refusal
from evaltape.local.settings import Settings
from evaltape.local.store import Row, Store, page

CHUNK_BYTES = 2**20
Limit = Annotated[int, Query(ge=1, le=10_000)]


def create_app(settings: Settings, *, store: Store, models: Models, chat: Chat, jobs: Jobs) -> ASGIApp:
    """The service as an ASGI app."""
    app = FastAPI(title="Evaltape's local service", docs_url=None, redoc_url=None, openapi_url=None)
    _add_errors(app)
    _add_models(app, models)
    _add_chat(app, models, chat)
    _add_files(app, store)
    _add_jobs(app, models, jobs)
    return Guard(app, api_key=settings.api_key, max_upload_bytes=settings.max_upload_mb * 2**20)


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(ApiError)
    async def refused(_request: Request, error: ApiError) -> JSONResponse:
        return JSONResponse(error.body(), error.status)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse(refusal(error.errors()).body(), 400)

    @app.exception_handler(HTTPException)
    async def unrouted(request: Request, error: HTTPException) -> JSONResponse:
        found = unknown_url(request.method, request.url.path)
        if error.status_code == 405:
            message = f"Not allowed to {request.method} on {request.url.path}."
            found = ApiError(message, status=405, code="method_not_supported")
        elif error.status_code != 404:
            found = ApiError(str(error.detail), status=error.status_code)
        return JSONResponse(found.body(), found.status)


def _add_models(app: FastAPI, models: Models) -> None:
    @app.get("/v1/models")
    def list_models() -> Row:
        return {"object": "list", "data": models.all()}

    @app.get("/v1/models/{name}")
    def retrieve_model(name: str) -> Row:
        return models.get(name)

    @app.delete("/v1/models/{name}")
    def delete_model(name: str) -> Row:
        return models.delete(name)


def _add_chat(app: FastAPI, models: Models, chat: Chat) -> None:
    @app.post("/v1/chat/completions")
    async def complete(body: ChatRequest, request: Request) -> Response:
        reply = chat.start(body, models.adapter(body.model))
        if body.stream:
            return StreamingResponse(reply.stream(), media_type="text/event-stream")
        return JSONResponse(await reply.whole(request.is_disconnected))


def _add_files(app: FastAPI, store: Store) -> None:
    @app.post("/v1/files")
    def upload(file: Annotated[UploadFile, File()], purpose: Annotated[str, Form()]) -> Row:
        if purpose != "fine-tune":
            message = f"'{purpose}' is not one of ['fine-tune'] - 'purpose'"
            raise ApiError(message, param="purpose", code="invalid_value")
        return store.add_file(_bare(file.filename or ""), purpose, iter(lambda: file.file.read(CHUNK_BYTES), b""))

    @app.get("/v1/files")
    def list_files(
        purpose: str | None = None,
        after: str | None = None,
        limit: Limit = 10_000,
        order: Literal["asc", "desc"] = "desc",
    ) -> Row:
        rows = store.rows("files", newest_first=order == "desc")
        return page([row for row in rows if purpose in (None, row["purpose"])], after, limit)

    @app.get("/v1/files/{name}")
    def retrieve_file(name: str) -> Row:
        return _file(store, name)

    @app.get("/v1/files/{name}/content")
    def content(name: str) -> FileResponse:
        return FileResponse(store.file_path(_file(store, name)["id"]), media_type="application/octet-stream")

    @app.delete("/v1/files/{name}")
    def delete_file(name: str) -> Row:
        if not store.delete_file(name):
            raise unknown_object("File", name)
        return {"id": name, "object": "file", "deleted": True}


def _add_jobs(app: FastAPI, models: Models, jobs: Jobs) -> None:
    @app.post("/v1/fine_tuning/jobs")
    def create_job(body: JobRequest) -> Row:
        if body.model != models.base["id"]:
            models.get(body.model)
            message = f"Model {body.model} is tuned already and can't be tuned again here: use {models.base['id']}."
            raise ApiError(message, param="model", code="model_not_available")
        return jobs.create(body)

    @app.get("/v1/fine_tuning/jobs")
    def list_jobs(request: Request, after: str | None = None, limit: Limit = 20) -> Row:
        return page(jobs.all(_metadata_filter(request)), after, limit)

    @app.get("/v1/fine_tuning/jobs/{name}")
    def retrieve_job(name: str) -> Row:
        return jobs.get(name)

    @app.post("/v1/fine_tuning/jobs/{name}/cancel")
    def cancel_job(name: str) -> Row:
        return jobs.cancel(name)

    @app.get("/v1/fine_tuning/jobs/{name}/events")
    def list_events(name: str, after: str | None = None, limit: Limit = 20) -> Row:
        return page(jobs.events(name), after, limit)

    @app.get("/v1/fine_tuning/jobs/{name}/checkpoints")
    def list_checkpoints(name: str, after: str | None = None, limit: Limit = 10) -> Row:
        return page(jobs.checkpoints(name), after, limit)


def _file(store: Store, name: str) -> Row:
    row = store.get("files", name)
    if row is None:
        raise unknown_object("File", name)
    return row


def _bare(filename: str) -> str:
    """A file's name without folders and control characters; it is only ever shown."""
    last = re.split(r"[/\\]", filename)[-1]
    return re.sub(r"[\x00-\x1f\x7f]", "", last)[:255] or "file"


def _metadata_filter(request: Request) -> dict[str, str] | Literal["null"] | None:
    """`metadata[key]=value` pairs; "null" for jobs without metadata; None for all jobs."""
    if request.query_params.get("metadata") == "null":
        return "null"
    wanted = {}
    for name, value in request.query_params.multi_items():
        key = re.fullmatch(r"metadata\[(.*)\]", name)
        if key:
            wanted[key[1]] = value
    return wanted or None
