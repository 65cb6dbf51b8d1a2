"""The routes of fine-tuning jobs."""

import re
from typing import Literal

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request

from evaltape.local.api.paging import Limit, page
from evaltape.local.errors import ApiError
from evaltape.local.model.served import Models
from evaltape.local.requests.body import read_json
from evaltape.local.requests.job import JobRequest
from evaltape.local.state.database import Row
from evaltape.local.training.jobs import Jobs, public
from evaltape.local.training.worker import Worker


def add_jobs(app: FastAPI, models: Models, jobs: Jobs, worker: Worker) -> None:
    """Add create, list, retrieve, cancel, resume, events and checkpoints."""

    def create(body: JobRequest) -> Row:
        if body.model != models.base["id"]:
            models.get(body.model)
            message = f"Model {body.model} is tuned already and can't be tuned again here: use {models.base['id']}."
            raise ApiError(message, param="model", code="model_not_available")
        job = jobs.create(body)
        worker.submit(job["id"])
        return job

    @app.post("/v1/fine_tuning/jobs")
    async def create_job(request: Request) -> Row:
        return await run_in_threadpool(create, await read_json(request, JobRequest))

    @app.get("/v1/fine_tuning/jobs")
    def list_jobs(request: Request, after: str | None = None, limit: Limit = 20) -> Row:
        return page(jobs.all(_metadata_filter(request)), after, limit)

    @app.get("/v1/fine_tuning/jobs/{name}")
    def retrieve_job(name: str) -> Row:
        return public(jobs.get(name))

    @app.post("/v1/fine_tuning/jobs/{name}/cancel")
    def cancel_job(name: str) -> Row:
        job = jobs.cancel(name)
        worker.stop(name)
        return job

    @app.post("/v1/fine_tuning/jobs/{name}/resume")
    def resume_job(name: str) -> Row:
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
    wanted = {}
    for name, value in request.query_params.multi_items():
        key = re.fullmatch(r"metadata\[(.*)\]", name, re.DOTALL)
        if key:
            wanted[key[1]] = value
    return wanted or None
