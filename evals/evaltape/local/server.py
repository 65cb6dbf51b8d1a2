"""Assembles the service and runs it until it is interrupted."""

import logging
import signal
import socket
import sys
import warnings
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaltape.errors import UserError
from evaltape.local.settings import Settings, launcher
from evaltape.local.state.store import Store

if TYPE_CHECKING:
    from evaltape.local.inference.probe import Likeliest
    from evaltape.local.model.weights import Loaded


class Service:
    """The parts of a service over an open state folder; `app` is what a web server runs."""

    def __init__(self, settings: Settings, store: Store) -> None:
        from evaltape.local.api.app import create_app
        from evaltape.local.batches.batches import Batches
        from evaltape.local.batches.runner import Runner
        from evaltape.local.model import sources
        from evaltape.local.model.served import Models
        from evaltape.local.training.jobs import Jobs
        from evaltape.local.training.worker import Worker

        folder, name = sources.find(settings.model, store.folder / "weights"), settings.served_name
        loaded, make_inference = _prepare(settings, folder)
        models = Models(store, loaded, name)
        inference = make_inference(models)
        jobs = Jobs(store, loaded.fingerprint)
        start = launcher(settings.train_command)
        worker = Worker(store, jobs, loaded, name, train_length=settings.train_length, launcher=start)
        answers = {path: partial(inference.answer, path) for path in inference.endpoints}
        batches = Batches(store, answers)
        runner = Runner(batches, answers, in_flight=inference.in_flight)
        self.inference, self.fingerprint = inference, loaded.fingerprint
        self._parts = (runner, worker, inference)
        self.app = create_app(
            settings, files=store.files, models=models, inference=inference, jobs=(jobs, worker), batches=(batches, runner)
        )

    def close(self) -> None:
        """Stop all work; the next start continues it."""
        for part in self._parts:
            part.close()


def serve(settings: Settings) -> int:
    """Load the model, listen and serve; return the exit code."""
    import uvicorn

    _quiet()
    with (
        closing(_listen(settings)) as listening,
        closing(Store(settings.state_folder)) as store,
        closing(Service(settings, store)) as service,
    ):
        config = uvicorn.Config(service.app, log_level="warning", access_log=False, timeout_graceful_shutdown=5)
        print(f"Listening on {_url(listening)}  (model {settings.served_name})", flush=True)
        # SIGTERM ends it as Ctrl-C does: the training stops, the database is closed.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])
    return 0


def _prepare(settings: Settings, folder: Path) -> "tuple[Loaded, Any]":
    """Return the model, and a function that makes of the served models what answers for them."""
    import torch

    from evaltape.local.model import weights

    # OpenMP puts its threads to sleep between two operations as soon as all pools together have more than there are cores,
    # and waking them takes longer than most operations: so only the engine's thread gets a pool.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    load = partial(weights.load, folder, name=settings.served_name, dtype=settings.dtype, context=settings.context)
    if settings.servers:
        from evaltape.local.inference.upstream import Upstream, find

        servers = find(settings.servers, folder, _probe(load))
        return weights.describe(folder, settings.served_name), lambda models: Upstream(servers, models.adapter)
    from evaltape.local.inference.chat import Chat
    from evaltape.local.inference.engine import Engine

    loaded = load()
    return loaded, lambda models: Chat(loaded, Engine(loaded, settings.batch, threads), models.adapter)


def _probe(load: "partial[Loaded]") -> "Likeliest | None":
    """Return what inference servers must agree with; None, with a word about it, for a model that doesn't fit here."""
    from evaltape.local.inference.probe import Likeliest

    try:
        return Likeliest.computed(load())
    except UserError as error:
        print(f"evaltape serve: whether --inference has the same weights is not checked: {error}", file=sys.stderr)
        return None


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
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


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"


def _quiet() -> None:
    """Keep the libraries' progress bars and their advice to developers off the terminal."""
    warnings.simplefilter("ignore", FutureWarning)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    hide: Any = transformers_logging.disable_progress_bar
    hide()
