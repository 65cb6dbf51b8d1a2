"""The host that a job is driven at, and the name of its tuned model: a built-in service's, or by the user's own code."""

import asyncio
import functools
import importlib
import inspect
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec

from evaltape.errors import RecordingError, UserError
from evaltape.finetuning.host import Host
from evaltape.finetuning.jobs import service_of
from evaltape.finetuning.services import SERVICES
from evaltape.recorder.api.failures import CallFailed
from evaltape.recorder.tuning.asking import Asking
from evaltape.recorder.tuning.openai_host import OpenAIHost
from evaltape.suite.definition import Finetune
from evaltape.text import cut, duration, visible

METHODS = ("upload", "order", "find", "look", "cancel", "events", "files", "file", "file_content", "metrics", "serve")
SHOWN_EVERY_S = 5.0


def host_for(job: Finetune, asking: Asking, root: Path) -> Host:
    """Return the host of a job's service. Raises `UserError` for a class of the user's that can't be used."""
    if job.service in SERVICES:
        return OpenAIHost(asking, service_of(job))
    made = loaded(job.service, f"[finetune.{job.key}] service", root)
    try:
        return guarded(made(asking), job.service)
    except Exception as error:
        raise UserError(f"[finetune.{job.key}] service = {job.service!r} can't be made: {_shown(error)}") from None


def loaded(name: str, place: str, root: Path) -> Any:
    """Import the object `module:name`; the user's modules are found as pytest finds them. Raises `UserError`."""
    module, _, attribute = name.partition(":")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:
        raise UserError(f"{place} = {name!r} can't be imported: {_shown(error)}") from None


def guarded(host: Any, name: str) -> Host:
    """Return a class of the user's in which every error is a failed call with its name: a job may have been created."""
    missing = [method for method in METHODS if not callable(getattr(host, method, None))]
    if missing:
        raise TypeError(f"it has no method {missing[0]}; inherit from evaltape.finetuning.host.Host")
    return cast(Host, SimpleNamespace(**{each: _guarded(getattr(host, each), f"{name}.{each}") for each in METHODS}))


def _guarded(method: Callable[..., Awaitable[Any]], name: str) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(method)
    async def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return await method(*args, **kwargs)
        except CallFailed:
            raise
        except Exception as error:
            raise CallFailed(f"{name} raised {_shown(error)}") from error

    return call


# ---------------------------------------------------------------- deploy


class Served(msgspec.Struct, frozen=True):
    """A tuned model that can be asked."""

    name: str
    base_url: str | None = None
    """Where; None: where its base is."""
    undeploy: Callable[[], Any] | None = None
    """Ends the deployment."""


async def deploy(job: Finetune, finished: Any, root: Path, show: Callable[[str], None]) -> Served:
    """Call the suite's `deploy` with the finished job, and show that it is waited for. Raises `RecordingError`."""
    assert job.deploy is not None
    place = f"deploy = {job.deploy!r}"
    try:
        function = loaded(job.deploy, "deploy", root)
        answer = await _called(function, finished, lambda text: show(f"{job.deploy}: {text}"))
    except UserError as error:
        raise RecordingError(str(error)) from None
    except Exception as error:
        raise RecordingError(f"{place} raised {_shown(error)}") from None
    return _served(answer, place)


async def undeploy(served: Served) -> str | None:
    """End a deployment; return why that failed, if it did."""
    assert served.undeploy is not None
    try:
        await _called(served.undeploy)
    except Exception as error:
        return f"undeploy of {visible(served.name)} raised {_shown(error)}; end it yourself, it may go on costing"
    return None


async def _called(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function, or a coroutine function, without holding up the loop; the last argument shows that it is waited for."""
    show = args[-1] if args else None
    args = args[:-1]
    started = time.monotonic()
    work = asyncio.ensure_future(
        function(*args) if inspect.iscoroutinefunction(function) else asyncio.to_thread(function, *args)
    )
    try:
        while True:
            if show is not None:
                show(f"waiting for {duration(time.monotonic() - started)}")
            done, _ = await asyncio.wait([work], timeout=SHOWN_EVERY_S)
            if done:
                return work.result()
    finally:
        work.cancel()


def _served(answer: Any, place: str) -> Served:
    if isinstance(answer, str):
        answer = {"name": answer}
    keys = ("name", "base_url", "undeploy")
    name, base_url, ends = (answer.get(key) if isinstance(answer, dict) else getattr(answer, key, None) for key in keys)
    if not isinstance(name, str) or not name or not isinstance(base_url, str | None) or not (ends is None or callable(ends)):
        raise RecordingError(
            f"{place} returned {cut(visible(repr(answer)), 200)}: it takes the name to ask the tuned model by, or an object or "
            "a dict with name, and base_url and undeploy if there are any"
        )
    return Served(name, base_url, ends)


def _shown(error: BaseException) -> str:
    return cut(visible(f"{type(error).__name__}: {error}"), 300)
