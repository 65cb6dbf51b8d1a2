"""Requests that no good client sends: valid ones damaged, and their headers with them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

TEXTS = st.text(st.characters(), max_size=8) | st.sampled_from(["\ud800", "x\udfffy", "\x00", "\u202e", "auto", "é" * 9, ""])
NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, -(10**30), 2**63, -1, 0, 1e308, -0.0, 5e-324])
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=6
)
CHAT = {
    "model": "tiny-1.5",
    "messages": [{"role": "system", "content": "Be brief"}, {"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
    "temperature": 0,
    "top_p": 1,
    "seed": 1,
    "max_completion_tokens": 1,
    "stop": ["x"],
    "stream": False,
    "stream_options": {"include_usage": True},
    "response_format": {"type": "text"},
    "logprobs": False,
    "n": 1,
    "metadata": {"key": "value"},
}
JOB = {
    "model": "tiny-1.5",
    "training_file": "file-unknown",
    "validation_file": None,
    "method": {
        "type": "supervised",
        "supervised": {"hyperparameters": {"n_epochs": 1, "batch_size": "auto", "learning_rate_multiplier": 1.0}},
    },
    "suffix": "name",
    "seed": 1,
    "metadata": {"key": "value"},
    "integrations": [],
}
HEADERS = {
    "content-type": ["application/json", "application/json; charset=utf-16", "text/plain", "application/x+json", "", "é", ";;"],
    "authorization": ["Bearer ", "Basic x", "é" * 20],
    "origin": ["null", "http://localhost", "http://[", "é"],
    "accept": ["text/html", "\xff"],
    "expect": ["100-continue"],
    "accept-encoding": ["gzip, \xff"],
    "x-forwarded-host": ["example.com"],
    "content-encoding": ["gzip"],
    "connection": ["close", "upgrade"],
}
PATHS = st.sampled_from(["models", "files", "fine_tuning/jobs", "chat/completions", "responses", "", "files/x/content"])
QUERIES = st.sampled_from(
    ["limit=1e9", "limit=%F0", "order=up", "after=%00", "metadata[%ff]=%ff", "metadata=null", "limit=" + "9" * 5000]
)


@dataclass(frozen=True)
class Hostile:
    """A request to send."""

    method: str
    path: str
    body: bytes
    headers: tuple[tuple[str, str], ...]


@st.composite
def bodies(draw: st.DrawFn, valid: dict[str, Any]) -> bytes:
    """Return a valid body with some of its values, keys and bytes replaced."""
    body = json.loads(json.dumps(valid))
    for _ in range(draw(st.integers(0, 3))):
        _replace(draw, body)
    # ASCII only, so that half of a surrogate pair is escaped; NaN is written as Python writes it.
    text = json.dumps(body).encode()
    damage = draw(st.sampled_from(DAMAGES))
    return damage(text, draw(st.integers(0, len(text))))


def _replace(draw: st.DrawFn, body: dict[str, Any]) -> None:
    container: Any = body
    while True:
        keys = list(range(len(container))) if isinstance(container, list) else [*container, None]
        key = draw(st.sampled_from(keys)) if keys else None
        if key is None:
            if isinstance(container, dict):
                container[draw(TEXTS)] = draw(VALUES)
            return
        if isinstance(container[key], dict | list) and draw(st.booleans()):
            container = container[key]
            continue
        container[key] = draw(VALUES)
        return


DAMAGES: list[Callable[[bytes, int], bytes]] = [
    *[lambda text, at: text] * 12,
    lambda text, at: text[:at],
    lambda text, at: text[:at] + b"\xff\xed\xa0\x80" + text[at:],
    lambda text, at: text[:at] + b"[" * 3000 + text[at:],
    lambda text, at: b'{"model": "a", ' + text[1:],
    lambda text, at: text.decode().encode("utf-16"),
    lambda text, at: b"\xef\xbb\xbf" + text,
    lambda text, at: b'{"a": 1' + b"0" * 5000 + b"}",
    lambda text, at: b"[" + text + b"]",
    lambda text, at: b"",
]
headers = st.lists(
    st.sampled_from(sorted(HEADERS)).flatmap(lambda name: st.tuples(st.just(name), st.sampled_from(HEADERS[name]))), max_size=2
)


@st.composite
def forms(draw: st.DrawFn) -> tuple[bytes, str]:
    """Return a form like that of an upload, and its content type."""
    charset = draw(
        st.sampled_from(["", "", "", "; charset=unicode_escape", "; charset=idna", "; charset=zlib", '; charset="utf-8"'])
    )
    names = ["file", "purpose", "expires_after[anchor]", "expires_after[seconds]", "\\ud800", ""]
    contents = [b"fine-tune", b"created_at", b"3600", b"-1", b"9" * 5000, b"\xff", b"\\ud800", b"{}\n", b""]
    filenames = [
        "",
        '; filename="train.jsonl"',
        '; filename="\\ud800"',
        '; filename="../x"',
        "; filename*=utf-8''%ff",
        '; filename=""',
    ]
    fields = [("file", filenames[1], b"{}\n"), ("purpose", "", b"fine-tune")]
    for _ in range(draw(st.integers(0, 3))):
        field = (draw(st.sampled_from(names)), draw(st.sampled_from(filenames)), draw(st.sampled_from(contents)))
        place = draw(st.integers(0, len(fields)))
        fields[place : place + draw(st.integers(0, 1))] = [field]
    parts = []
    for name, filename, content in fields:
        head = f'content-disposition: form-data; name="{name}"{filename}'
        parts.append(b"--b\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n")
    end = draw(st.sampled_from([*[b"--b--\r\n"] * 5, b"", b"--b", b"\r\n--c--"]))
    boundary = draw(st.sampled_from([*["; boundary=b"] * 5, "", "; boundary="]))
    return b"".join(parts) + end, f"multipart/form-data{boundary}{charset}"


@st.composite
def requests(draw: st.DrawFn) -> Hostile:
    """Return a request to any route."""
    kind = draw(st.sampled_from(["chat", "chat", "chat", "job", "job", "upload", "other"]))
    extra = tuple(draw(headers))
    json_type = () if any(name == "content-type" for name, _ in extra) else (("content-type", "application/json"),)
    if kind == "upload":
        body, content_type = draw(forms())
        others = tuple((name, value) for name, value in extra if name != "content-type")
        return Hostile("POST", "files", body, (("content-type", content_type), *others))
    if kind == "other":
        method = draw(st.sampled_from(["GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS"]))
        return Hostile(method, f"{draw(PATHS)}?{draw(QUERIES)}", b"", extra)
    valid, path = (CHAT, "chat/completions") if kind == "chat" else (JOB, "fine_tuning/jobs")
    return Hostile("POST", path, draw(bodies(valid)), (*json_type, *extra))
