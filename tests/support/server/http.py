"""HTTP/1.1 on asyncio streams: just enough of it, and in a way that lets an answer be cut, delayed, reset or hang."""

import asyncio
import gzip
import json
import struct
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from socket import SO_LINGER, SOL_SOCKET
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.support.server.replies import Reply


@dataclass
class Asked:
    """A request and when it came; `status` is what it was answered with, None while it wasn't."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    status: int | None = None
    received_s: float = field(default_factory=time.monotonic)
    _json: Any = field(default=None, repr=False)

    @property
    def json(self) -> Any:
        """The JSON body, or None."""
        if self._json is None and self.headers.get("content-type", "").startswith("application/json") and self.body:
            self._json = json.loads(self.body)
        return self._json

    @property
    def text(self) -> str:
        """The body as text, JSON without its escapes."""
        return json.dumps(self.json, ensure_ascii=False) if self.json is not None else self.body.decode(errors="replace")

    @property
    def fields(self) -> dict[str, tuple[str | None, bytes]]:
        """The parts of a multipart body: name to (file name, content)."""
        boundary = self.headers["content-type"].split("boundary=")[1].strip('"').encode()
        parts = {}
        for part in (b"\r\n" + self.body).split(b"\r\n--" + boundary)[1:-1]:
            head, _, content = part.partition(b"\r\n\r\n")
            disposition = next(line for line in head.decode().split("\r\n") if line.lower().startswith("content-disposition"))
            values = dict(item.strip().split("=", 1) for item in disposition.split(";")[1:])
            file_name = values.get("filename")
            parts[values["name"].strip('"')] = (file_name and file_name.strip('"'), content)
        return parts


async def read_request(reader: asyncio.StreamReader) -> Asked | None:
    """The next request of a connection; None at its end."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    method, target, _ = head[0].split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    if headers.get("transfer-encoding") == "chunked":
        body = await _chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    url = urlsplit(target)
    return Asked(method, url.path, dict(parse_qsl(url.query)), headers, body)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return body


async def write_reply(writer: asyncio.StreamWriter, asked: Asked, reply: Reply) -> bool:
    """Send an answer; whether the connection can go on."""
    if reply.reset:
        writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()
        return False
    body, headers = reply.encoded, {"content-type": reply.content_type, **reply.headers}
    if reply.gzip and "gzip" in asked.headers.get("accept-encoding", ""):
        body, headers["content-encoding"] = gzip.compress(body), "gzip"
    headers["content-length"] = str(len(body))
    lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}", *(f"{k}: {v}" for k, v in headers.items())]
    head, sent = "\r\n".join([*lines, "", ""]).encode("latin-1"), body[: len(body) // 2] if reply.cut else body
    if reply.trickle_s:
        await _trickle(writer, head, sent, reply.trickle_s)
    else:
        writer.write((head + sent) * (1 + reply.echoed))
    await writer.drain()
    return not reply.cut and asked.headers.get("connection", "").lower() != "close"


async def _trickle(writer: asyncio.StreamWriter, head: bytes, body: bytes, every_s: float) -> None:
    """Send a body byte by byte, for as long as somebody reads it."""
    writer.write(head)
    for byte in body:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(every_s)
        if writer.is_closing():
            raise ConnectionResetError
