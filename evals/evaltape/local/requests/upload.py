"""The form of an upload."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from evaltape.local.errors import ApiError
from evaltape.local.requests.body import check_type

CHUNK_BYTES = 2**20
PURPOSES = ["fine-tune", "batch"]
# OpenAI's bounds: an hour to thirty days.
SHORTEST_S, LONGEST_S = 3600, 2_592_000
EXPIRY = "expires_after[anchor]", "expires_after[seconds]"
MOST_FIELDS = 8


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that a client sends."""

    filename: str
    """Its name without folders; it is only ever shown."""
    purpose: str
    """Use of the file: for a job or for a batch."""
    file: UploadFile
    """Its content, on disk if it is large."""
    expires_after_s: int | None
    """How long it is to be kept; None: until it is deleted."""

    def pieces(self) -> Iterator[bytes]:
        """Yield the content piece by piece."""
        return iter(lambda: self.file.file.read(CHUNK_BYTES), b"")


async def read_upload(request: Request) -> Upload:
    """Return the upload that a request holds. Raise `ApiError` if its form isn't one."""
    check_type(request, "multipart/form-data", "multipart/form-data")
    _check_charset(request.headers["content-type"])
    form = await request.form(max_files=1, max_fields=MOST_FIELDS)
    file = form.get("file")
    if not isinstance(file, UploadFile):
        message = "Missing required parameter: 'file' (a part with a filename)."
        raise ApiError(message, param="file", code="missing_required_parameter")
    purpose = form.get("purpose")
    if purpose is None:
        raise ApiError("Missing required parameter: 'purpose'.", param="purpose", code="missing_required_parameter")
    if purpose not in PURPOSES:
        shown = purpose if isinstance(purpose, str) else "a file"
        raise ApiError(f"'{shown}' is not one of {PURPOSES} - 'purpose'", param="purpose", code="invalid_value")
    return Upload(_bare(file.filename or ""), str(purpose), file, _expiry(form))


def _check_charset(content_type: str) -> None:
    """Refuse any other encoding than UTF-8: Python knows some that decode to what isn't text, or fail."""
    charset = re.search(r"charset\s*=\s*\"?([^\s;\"]*)", content_type, re.IGNORECASE)
    if charset and charset[1].lower() not in ("utf-8", "utf8"):
        raise ApiError(f"Unsupported charset '{charset[1]}': a form is read as UTF-8.", code="unsupported_content_type")


def _expiry(form: FormData) -> int | None:
    anchor, seconds = (form.get(name) for name in EXPIRY)
    if anchor is None and seconds is None:
        return None
    if anchor != "created_at":
        raise ApiError("Invalid 'expires_after[anchor]': must be 'created_at'.", param=EXPIRY[0], code="invalid_value")
    if not isinstance(seconds, str) or not re.fullmatch(r"[0-9]{1,9}", seconds) or not SHORTEST_S <= int(seconds) <= LONGEST_S:
        message = f"Invalid 'expires_after[seconds]': must be a whole number from {SHORTEST_S} to {LONGEST_S}."
        raise ApiError(message, param=EXPIRY[1], code="invalid_value")
    return int(seconds)


def _bare(filename: str) -> str:
    """Return a file's name without folders and control characters."""
    last = re.split(r"[/\\]", filename)[-1]
    return re.sub(r"[\x00-\x1f\x7f]", "", last)[:255] or "file"
