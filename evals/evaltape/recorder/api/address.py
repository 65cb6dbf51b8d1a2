"""Where a model is asked, and with which key: by the suite, or else by the environment."""

import os

from evaltape.errors import UserError
from evaltape.suite.definition import Model
from evaltape.suite.endpoint import address_problem, is_local

DEFAULT_URL = "https://api.openai.com/v1"
URL_VARIABLE, KEY_VARIABLE = "OPENAI_BASE_URL", "OPENAI_API_KEY"
HEADERS_VARIABLE = "OPENAI_CUSTOM_HEADERS"


def base_url_of(model: Model) -> str:
    """Return the address of a model's API. Raises `UserError` for an address that can't be asked at.

    The suite's `base_url` comes first, then the environment's; an empty variable counts as unset.
    """
    named = os.environ.get(URL_VARIABLE, "").strip()
    if model.base_url:
        url, source = model.base_url, f"{model.key}: base_url"
    elif named:
        url, source = named, URL_VARIABLE
    else:
        return DEFAULT_URL
    problem = address_problem(url)
    if problem is not None:
        raise UserError(f"{source} {problem}")
    return url


def custom_headers_kept_from(url: str) -> list[str]:
    """Return the names of the client's custom headers that aren't sent to an address.

    `OPENAI_CUSTOM_HEADERS` may hold keys. They are for the address that the environment names, or for OpenAI's own, not for
    every host of a suite.
    """
    own = os.environ.get(URL_VARIABLE, "").strip() or DEFAULT_URL
    if url.rstrip("/") == own.rstrip("/"):
        return []
    lines = os.environ.get(HEADERS_VARIABLE, "").split("\n")
    return [line.partition(":")[0].strip() for line in lines if ":" in line]


def key_of(model: Model, url: str) -> str:
    """Return the key that a model is asked with at `url`; empty if no key is sent. Raises `UserError` for a missing key.

    A server on this machine gets a key only if the suite names a variable: it usually needs no key, and it may not be the
    server that the key is for.
    """
    if model.api_key_env is None and is_local(url):
        return ""
    variable = model.api_key_env or KEY_VARIABLE
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UserError(
            f"{model.key}: its API is asked with a key, and {variable} is not set. Set it; what is recorded replays without one"
        )
    if not key.isascii() or not key.isprintable():
        raise UserError(f"{model.key}: {variable} holds characters that no key has, and that can't be sent")
    return key
