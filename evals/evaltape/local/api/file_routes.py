"""The routes of files."""

from collections.abc import Iterator
from typing import Annotated, BinaryIO, Literal

from fastapi import Depends, FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from starlette.requests import Request

from evaltape.local.api.paging import Limit, page
from evaltape.local.errors import unknown_object
from evaltape.local.requests.upload import CHUNK_BYTES, read_upload
from evaltape.local.state.database import Row
from evaltape.local.state.files import Files


def add_files(app: FastAPI, files: Files) -> None:
    """Add upload, list, retrieve, content and delete."""

    @app.post("/v1/files")
    async def upload(request: Request) -> Row:
        sent = await read_upload(request)
        return await run_in_threadpool(
            files.add, sent.filename, sent.purpose, sent.pieces(), expires_after_s=sent.expires_after_s
        )

    @app.get("/v1/files")
    def list_files(
        purpose: str | None = None,
        after: str | None = None,
        limit: Limit = 10_000,
        order: Literal["asc", "desc"] = "desc",
    ) -> Row:
        rows = files.all(newest_first=order == "desc")
        return page([row for row in rows if purpose in (None, row["purpose"])], after, limit)

    def existing(name: str) -> Row:
        row = files.get(name)
        if row is None:
            raise unknown_object("File", name)
        return row

    @app.get("/v1/files/{name}")
    def retrieve_file(row: Annotated[Row, Depends(existing)]) -> Row:
        return row

    @app.get("/v1/files/{name}/content")
    def content(name: str) -> StreamingResponse:
        file = files.open(name)
        if file is None:
            raise unknown_object("File", name)
        return StreamingResponse(_pieces(file), media_type="application/octet-stream")

    @app.delete("/v1/files/{name}")
    def delete_file(name: str) -> Row:
        if not files.delete(name):
            raise unknown_object("File", name)
        return {"id": name, "object": "file", "deleted": True}


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(CHUNK_BYTES):
            yield piece
