"""Single calls to the test server, over a real socket, without a session around them."""

import asyncio
from typing import Any

from evaltape.recorder.api.client import Endpoint
from evaltape.recorder.api.failures import CallFailed
from evaltape.recording.cassettes import Exchange

BODY: dict[str, Any] = {"model": "small", "messages": [{"role": "user", "content": "Sum up:\n\nAnn: hi"}], "max_tokens": 9}


def ask(base_url: str, key: str = "", timeout_s: float = 10.0, body: dict[str, Any] = BODY) -> Exchange | CallFailed:
    """Ask for one chat completion; return the exchange, or the failure."""

    async def call() -> Exchange | CallFailed:
        endpoint = Endpoint(base_url, key, timeout_s)
        try:
            return (await endpoint.chat(body))[0]
        except CallFailed as failure:
            return failure
        finally:
            await endpoint.close()

    return asyncio.run(call())


def failure(base_url: str, key: str = "", timeout_s: float = 10.0) -> CallFailed:
    """Ask for one chat completion that must fail; return how."""
    failed = ask(base_url, key, timeout_s)
    assert isinstance(failed, CallFailed), failed
    return failed


def answer(base_url: str, key: str = "") -> Exchange:
    """Ask for one chat completion that must be answered; return the exchange."""
    exchange = ask(base_url, key)
    assert isinstance(exchange, Exchange), exchange
    return exchange
