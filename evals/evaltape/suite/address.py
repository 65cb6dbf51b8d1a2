"""Addresses of APIs: which can be asked at, and which are on this machine."""

import ipaddress
import re
from urllib.parse import urlsplit

EXAMPLE = "http://127.0.0.1:8000/v1"


def address_problem(url: str) -> str | None:
    """Return why nothing can be asked at a base URL, in words that follow its name; None if it can.

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
