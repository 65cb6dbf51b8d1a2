"""Asks the API when it will shut models down.

`GET /v1/models/ID` tells a model's `shutdown_date`, where the API knows the route and the field.
"""

import asyncio
import contextlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from evaltape.errors import RecordingError, UserError
from evaltape.recorder.api.client import Endpoint, endpoint_of
from evaltape.recorder.api.failures import NO_ROUTE, CallFailed
from evaltape.recorder.wire import Notice
from evaltape.workspace import Workspace

PATIENCE_S = 10.0


async def ask(endpoint: Endpoint, served: str) -> Notice:
    """Ask the API for a model's end. An error is a notice with its problem."""
    retrieve = endpoint.client.models.with_raw_response.retrieve
    try:
        exchange, _ = await asyncio.wait_for(endpoint.call(lambda: retrieve(served)), PATIENCE_S)
        told = exchange.answered
        if not isinstance(told, dict):
            return Notice(served, problem="the answer describes no model")
        return Notice(served, str(told["shutdown_date"]) if told.get("shutdown_date") else None)
    except CallFailed as failure:
        return Notice(served, problem=None if failure.status in NO_ROUTE else failure.message)
    except TimeoutError:
        return Notice(served, problem=f"no answer within {PATIENCE_S:g} s")
    except Exception as error:  # It is a question by the way; nothing may fail for it.
        return Notice(served, problem=type(error).__name__)


def ask_all(workspace: Workspace) -> dict[str, Notice]:
    """Ask for every model of the suite; return the notices by key.

    Raises `UserError` if a model has no usable address or key, or the environment lets no client be made.
    """
    models = {key: model for key, model in workspace.suite.models.items() if model.predictions is None}
    asked = []
    for model in models.values():
        served, endpoint = "", endpoint_of(model, PATIENCE_S)
        endpoint.open()
        with contextlib.suppress(RecordingError, UserError):  # No job has made the tuned model yet.
            served = workspace.jobs.served(model)
        asked.append((served, endpoint))
    # In a thread of its own: a notebook that runs pytest has a loop in this thread.
    with ThreadPoolExecutor(1) as thread:
        notices = thread.submit(asyncio.run, _ask_each(asked)).result()
    return dict(zip(models, notices, strict=True))


async def _ask_each(asked: Iterable[tuple[str, Endpoint]]) -> list[Notice]:
    async def one(served: str, endpoint: Endpoint) -> Notice:
        try:
            return await ask(endpoint, served) if served else Notice("", problem="its job is not recorded")
        finally:
            await endpoint.close()

    return list(await asyncio.gather(*(one(served, endpoint) for served, endpoint in asked)))
