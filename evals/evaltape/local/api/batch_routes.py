"""The routes of batches."""

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request

from evaltape.local.api.paging import Limit, page
from evaltape.local.batches.batches import Batches
from evaltape.local.batches.runner import Runner
from evaltape.local.requests.batch import BatchRequest
from evaltape.local.requests.body import read_json
from evaltape.local.state.database import Row


def add_batches(app: FastAPI, batches: Batches, runner: Runner) -> None:
    """Add create, list, retrieve and cancel."""

    @app.post("/v1/batches")
    async def create_batch(request: Request) -> Row:
        row = await run_in_threadpool(batches.create, await read_json(request, BatchRequest))
        runner.submit(row["id"])
        return row

    @app.get("/v1/batches")
    def list_batches(after: str | None = None, limit: Limit = 20) -> Row:
        return page(batches.all(), after, limit)

    @app.get("/v1/batches/{name}")
    def retrieve_batch(name: str) -> Row:
        return batches.get(name)

    @app.post("/v1/batches/{name}/cancel")
    def cancel_batch(name: str) -> Row:
        return batches.cancel(name)
