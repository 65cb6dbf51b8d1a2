"""Assembles the service and runs it until it is interrupted."""

import logging
import signal
import socket
import warnings
from contextlib import closing, suppress
from functools import partial
from typing import Any

from evaltape.errors import UserError
from evaltape.local.settings import Settings, launcher
from evaltape.local.state.store import Store


def serve(settings: Settings) -> int:
    """Load the model, listen and serve; return the exit code."""
    _quiet()
    with closing(_listen(settings)) as listening, closing(Store(settings.state_folder)) as store:
        return _run(settings, store, listening)


def _run(settings: Settings, store: Store, listening: socket.socket) -> int:
    import torch
    import uvicorn

    from evaltape.local.api.app import create_app
    from evaltape.local.batches.batches import Batches
    from evaltape.local.batches.runner import Runner
    from evaltape.local.inference.chat import Chat, answer
    from evaltape.local.inference.engine import Engine
    from evaltape.local.model import sources, weights
    from evaltape.local.model.served import Models
    from evaltape.local.training.jobs import Jobs
    from evaltape.local.training.records import Records
    from evaltape.local.training.worker import Worker

    folder = sources.find(settings.model, store.folder / "weights")
    name = settings.served_name
    # OpenMP puts its threads to sleep between two operations as soon as all pools together have more than there are cores,
    # and waking them takes longer than most operations: so only the engine's thread gets a pool.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    loaded = weights.load(folder, name=name, dtype=settings.dtype, context=settings.context)
    engine = Engine(loaded, settings.batch, threads)
    chat = Chat(loaded, engine)
    models = Models(store, loaded, name)
    records = Records(store.database)
    worker = Worker(store, records, loaded, name, train_length=settings.train_length, launcher=launcher(settings.train_command))
    jobs = Jobs(store, records, worker, loaded.fingerprint)
    answers = {"/v1/chat/completions": partial(answer, models, chat)}
    batches = Batches(store, answers)
    runner = Runner(batches, answers, in_flight=settings.batch)
    app = create_app(settings, files=store.files, models=models, chat=chat, jobs=jobs, batches=batches, runner=runner)
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=5)
    print(f"Listening on {_url(listening)}  (model {name})", flush=True)
    # SIGTERM ends it as Ctrl-C does: the training stops, the database is closed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])
    finally:
        runner.close()
        worker.close()
        chat.close()
        engine.close()
    return 0


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
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    hide: Any = transformers_logging.disable_progress_bar
    hide()
