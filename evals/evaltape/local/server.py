"""Assembles the service and runs it until it is interrupted."""

import asyncio
import logging
import signal
import socket
import sys
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaltape.errors import UserError
from evaltape.local.settings import Settings, launcher
from evaltape.local.state import State

if TYPE_CHECKING:
    from evaltape.local.inference.chat import Chat
    from evaltape.local.inference.upstream import Likeliest, Upstream
    from evaltape.local.model import Loaded, Models


class Service:
    """The parts of a service over an open state folder and a model's folder; a web server runs `app`."""

    def __init__(self, settings: Settings, state: State, folder: Path) -> None:
        from evaltape.local.batches import Batches
        from evaltape.local.guard import Guard
        from evaltape.local.model import Models
        from evaltape.local.routes import make_app
        from evaltape.local.training.jobs import Jobs
        from evaltape.local.training.worker import Worker

        loaded, make_inference = _prepare(settings, folder)
        models, jobs = Models(state, loaded, settings.name), Jobs(state, loaded.fingerprint)
        self.inference, self.fingerprint = make_inference(models), loaded.fingerprint
        start, length = launcher(settings.train_command), settings.train_length
        self._worker = Worker(state, jobs, loaded, settings.name, train_length=length, launcher=start)
        answers = {path: partial(self.inference.answer, path) for path in self.inference.endpoints}
        self._batches = Batches(state, answers, in_flight=self.inference.in_flight)
        app = make_app(
            files=state.files,
            models=models,
            inference=self.inference,
            jobs=jobs,
            worker=self._worker,
            batches=self._batches,
            lifespan=self._work,
        )
        self.app = Guard(app, api_key=settings.api_key, max_upload_bytes=settings.max_upload_mb * 2**20)

    @asynccontextmanager
    async def _work(self, _app: Any) -> AsyncIterator[None]:
        """Train and answer batches for as long as the service runs; the next start goes on with the rest."""
        self._worker.start()
        batches = asyncio.create_task(self._batches.run())
        yield
        batches.cancel()
        await asyncio.gather(batches, self._worker.close(), return_exceptions=True)
        self.inference.close()


def serve(settings: Settings) -> int:
    """Load the model, listen and serve; return the exit code."""
    from evaltape.local.inference import vllm
    from evaltape.local.model import find

    _quiet()
    # SIGTERM ends it as Ctrl-C does: the training stops, the database is closed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with closing(_listen(settings)) as listening, closing(State(settings.state)) as state:
        folder = find(settings.model, state.folder / "weights")
        with vllm.started(settings, folder) as settings:
            _run(Service(settings, state, folder), settings, listening)
    return 0


def _run(service: Service, settings: Settings, listening: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(service.app, log_level="warning", access_log=False, timeout_graceful_shutdown=5)
    host, port = listening.getsockname()[:2]
    print(f"Listening on http://{f'[{host}]' if ':' in host else host}:{port}/v1  (model {settings.name})", flush=True)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])


def _prepare(settings: Settings, folder: Path) -> "tuple[Loaded, Callable[[Models], Chat | Upstream]]":
    """Return the model, and a function that makes of the served models the part that answers for them."""
    import torch

    from evaltape.local import model

    # OpenMP puts its threads to sleep between two operations as soon as all pools together have more threads than there are
    # cores, and waking them takes longer than most operations: so only the engine's thread gets a pool.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    load = partial(model.load, folder, name=settings.name, dtype=settings.dtype, context=settings.context)
    if settings.servers:
        from evaltape.local.inference.upstream import Upstream, find

        expected = _likeliest(load)
        servers = find(settings.servers, folder, expected)
        return model.describe(folder, settings.name), lambda models: Upstream(servers, expected, models.adapter)
    from evaltape.local.inference.chat import Chat
    from evaltape.local.inference.engine import Engine

    loaded = load()
    return loaded, lambda models: Chat(loaded, Engine(loaded, settings.batch, threads), models.adapter)


def _likeliest(load: "Callable[[], Loaded]") -> "Likeliest | None":
    """Return the tokens that inference servers must agree with; say so and return None if the model doesn't fit here."""
    from evaltape.local.inference.upstream import likeliest

    try:
        return likeliest(load())
    except UserError as error:
        print(f"evaltape serve: whether --inference has the same weights is not checked: {error}", file=sys.stderr)
        return None


def _listen(settings: Settings) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host.strip("[]"), settings.port))
        # From here on a connection waits until it is served, rather than being refused.
        listening.listen(2048)
    except OSError as error:
        listening.close()
        hint = "Choose another --port, or --port 0 for a free one"
        raise UserError(f"can't listen on {settings.host}:{settings.port} ({error.strerror}). {hint}") from None
    return listening


def _quiet() -> None:
    """Keep the libraries' progress bars and their advice to developers off the terminal."""
    warnings.simplefilter("ignore", FutureWarning)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    hide: Any = transformers_logging.disable_progress_bar
    hide()
