"""The service as an ASGI app: its routes, and errors in OpenAI's shape."""

from functools import partial

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp

from evaltape.local.api.batch_routes import add_batches
from evaltape.local.api.file_routes import add_files
from evaltape.local.api.guard import Guard, failure
from evaltape.local.api.job_routes import add_jobs
from evaltape.local.batches.batches import Batches
from evaltape.local.batches.runner import Runner
from evaltape.local.errors import ApiError, unknown_url, wrong_method
from evaltape.local.inference.chat import Chat
from evaltape.local.inference.upstream import Upstream
from evaltape.local.model.served import Models
from evaltape.local.requests.body import refusal
from evaltape.local.settings import Settings
from evaltape.local.state.database import Row
from evaltape.local.state.files import Files
from evaltape.local.training.jobs import Jobs
from evaltape.local.training.worker import Worker

Inference = Chat | Upstream


def create_app(
    settings: Settings,
    *,
    files: Files,
    models: Models,
    inference: Inference,
    jobs: tuple[Jobs, Worker],
    batches: tuple[Batches, Runner],
) -> ASGIApp:
    """Return the service as an ASGI app."""
    # A redirect would lose a POST with many clients: a path with a slash too many is a wrong one.
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    _add_errors(app)
    _add_models(app, models, inference)
    for path in inference.endpoints:
        app.post(path)(partial(inference.respond, path))
    add_files(app, files)
    add_jobs(app, models, *jobs)
    add_batches(app, *batches)
    return Guard(app, api_key=settings.api_key, max_upload_bytes=settings.max_upload_mb * 2**20)


def _add_errors(app: FastAPI) -> None:
    def answer(error: ApiError) -> JSONResponse:
        return JSONResponse(error.body(), error.status)

    @app.exception_handler(ApiError)
    async def refused(_request: Request, error: ApiError) -> JSONResponse:
        return answer(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        # Only queries are left to FastAPI; their errors begin with "query".
        return answer(refusal([{**first, "loc": first["loc"][1:]} for first in error.errors()[:1]]))

    @app.exception_handler(HTTPException)
    async def unrouted(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 404:
            return answer(unknown_url(request.method, request.url.path))
        if error.status_code == 405:
            return answer(wrong_method(request.method, request.url.path))
        return answer(ApiError(str(error.detail), status=error.status_code))

    @app.exception_handler(Exception)
    async def failed(_request: Request, error: Exception) -> JSONResponse:
        # Once answered, the error is raised again, so the guard logs it.
        return answer(failure(error))


def _add_models(app: FastAPI, models: Models, inference: Inference) -> None:
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
