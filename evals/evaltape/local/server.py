"""Puts the service together and runs it until it is interrupted."""

import logging
import signal
import socket
from contextlib import suppress
from typing import Any

from evaltape.local.errors import UserError
from evaltape.local.settings import Settings
from evaltape.local.store import Store


def serve(settings: Settings) -> int:
    """Loads the model, listens, and serves; returns the exit code."""
    _quiet()
    listening = _listen(settings)
    store = Store(settings.state_folder)
    try:
        return _run(settings, store, listening)
    finally:
        listening.close()
        store.close()


def _run(settings: Settings, store: Store, listening: socket.socket) -> int:
    import torch
    import uvicorn

    from evaltape.local import sources, weights
    from evaltape.local.app import create_app
    from evaltape.local.chat import Chat
    from evaltape.local.engine import Engine
    from evaltape.local.jobs import Jobs
    from evaltape.local.models import Models

    folder = sources.find(settings.model, store.folder / "weights")
    name = settings.served_name
    # OpenMP puts its threads to sleep between two operations as soon as all pools together have more than there are cores,
    # and waking them takes longer than most operations: so only the engine's thread gets a pool.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    loaded = weights.load(folder, name=name, dtype=settings.dtype, context=settings.context)
    engine = Engine(loaded, settings.batch, threads)
    jobs = Jobs(store, loaded, name, train_length=settings.train_length)
    models = Models(store, loaded, name)
    app = create_app(settings, store=store, models=models, chat=Chat(loaded, engine), jobs=jobs)
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=5)
    print(f"Listening on {_url(listening)}  (model {name})", flush=True)
    # Asked to end, it ends as with Ctrl-C: the training stops, the database is closed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])
    finally:
        jobs.close()
        engine.close()
    return 0


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((settings.host.strip("[]"), settings.port))
        # From here on a connection waits until it is served, rather than being refused.
        made.listen(2048)
    except OSError as error:
        made.close()
        hint = "Choose another --port, or --port 0 for a free one"
        raise UserError(f"can't listen on {settings.host}:{settings.port} ({error.strerror}). {hint}") from None
    return made


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"


def _quiet() -> None:
    """Keeps the libraries' progress bars and advice off the terminal."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    hide: Any = transformers_logging.disable_progress_bar
    hide()
