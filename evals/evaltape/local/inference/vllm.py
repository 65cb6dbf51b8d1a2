"""A vLLM server of the service's own: started before it, ended with it."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx2

from evaltape.errors import UserError
from evaltape.local.settings import Settings

POLL_S = 0.5
ENDS_S = 30
"""How long it may take to end once it is asked to."""


@contextmanager
def started(settings: Settings, folder: Path) -> Iterator[Settings]:
    """Start `vllm serve` where the settings ask for it; yield them with its address. Raise `UserError` if it ends early."""
    if not settings.starts_vllm:
        yield settings
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log, url = settings.state / "vllm.log", f"http://127.0.0.1:{port}"
    command = [shutil.which("vllm") or "vllm", "serve", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--enable-lora", "--max-lora-rank", "16"]
    command += ["--max-model-len", str(settings.context)] if settings.context else []
    command += ["--dtype", settings.dtype] if settings.dtype != "auto" else []
    print(f"Starting vLLM; its output goes to {log}", file=sys.stderr)
    with log.open("w") as output:
        environ = {**os.environ, "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True"}
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environ)
    try:
        while not _is_up(url):
            if process.poll() is not None:
                last = ([line for line in log.read_text(errors="replace").splitlines() if line.strip()] or ["no message"])[-1]
                raise UserError(
                    f"--inference vllm: `vllm serve` ended with exit code {process.returncode}: {last} (all: {log})"
                )
            time.sleep(POLL_S)
        yield replace(settings, inference=url)
    finally:
        process.terminate()
        try:
            process.wait(ENDS_S)
        except subprocess.TimeoutExpired:
            process.kill()


def _is_up(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/health", timeout=5, trust_env=False).status_code == 200
    except httpx2.TransportError:
        return False
