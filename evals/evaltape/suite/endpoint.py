"""How models and judges are asked: address, key and price."""

import ipaddress
import re
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta

from evaltape.suite.file.values import Json, Share, Table, Text, Usd, checked, key

EXAMPLE = "http://127.0.0.1:8000/v1"


def address_problem(url: str) -> str | None:
    """Return why no API can be asked at a base URL, in words that follow its name; None for a usable address.

    Neither a password nor a query is repeated: both can hold a key.
    """
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    plain = re.sub(r"[^/@]*@", "", re.split("[?#]", url)[0])
    if not is_address or not url.isprintable() or " " in url:
        return f"= {plain!r}: it takes an address like {EXAMPLE}"
    if "@" in parts.netloc:
        return "holds a user name or password; put the key into a variable and name it in api_key_env"
    if "?" in url or "#" in url:
        return f"= {plain!r} and more: paths are added behind it, so it takes neither ? nor #; a key goes into api_key_env"
    return None


def is_local(url: str) -> bool:
    """Return whether an address is on this machine, where a call costs nothing and usually needs no key."""
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
        if host == "localhost" or host.endswith(".localhost"):
            return True
        ip = ipaddress.ip_address(host)
    except ValueError:
        return False
    return ip.is_loopback or ip.is_unspecified


def _variable_problem(name: str) -> str | None:
    is_name = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)
    return None if is_name else "takes the name of an environment variable, never a key"


class Price(Table, frozen=True, kw_only=False):
    """USD per million tokens."""

    input: Annotated[Usd, key("Of the prompt's tokens.")]
    output: Annotated[Usd, key("Of the answer's tokens.")]
    batch: Annotated[Share, key("The factor of both through the Batch API.")] = 1.0


class TrainingPrice(Price, frozen=True, kw_only=True):
    """USD per million tokens, of training and of the tuned model."""

    training: Annotated[Usd, key("Of trained tokens.")]


BaseUrl = Annotated[
    Text | None,
    checked(address_problem),
    key("An address that speaks OpenAI's API; that of OPENAI_BASE_URL or OpenAI's own when absent."),
]
KeyVariable = Annotated[
    Text | None,
    checked(_variable_problem),
    key("The name of the variable that holds the key, never a key; OPENAI_API_KEY when absent."),
]
ModelPrice = Annotated[Price | None, key("USD per million tokens.")]
SENT_BY_EVALTAPE = ("messages", "model", "stream", "n")
"""Keys of a call's body that no `request` may set."""
Body = Annotated[Json, Meta(extra={"refused": SENT_BY_EVALTAPE})]
Request = Annotated[Body, key("Sent with every call. The value 'omit' removes a key that another table sets.")]
