"""The form of an upload."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, InstanceOf, ValidationError, model_validator
from starlette.datastructures import UploadFile
from starlette.requests import Request

from evaltape.local.errors import ApiError
from evaltape.local.requests.body import check_type, refusal

CHUNK_BYTES = 2**20
# OpenAI's bounds: an hour to thirty days.
SHORTEST_S, LONGEST_S = 3600, 2_592_000
MOST_FIELDS = 8


def _digits(value: Any) -> Any:
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value) else value


class Upload(BaseModel):
    """A file that a client sends, with its purpose and how long it is to be kept."""

    model_config = ConfigDict(strict=True)
    file: InstanceOf[UploadFile]
    purpose: Literal["fine-tune", "batch"]
    anchor: Literal["created_at"] | None = Field(None, alias="expires_after[anchor]")
    expires_after_s: Annotated[int, BeforeValidator(_digits)] | None = Field(
        None, alias="expires_after[seconds]", ge=SHORTEST_S, le=LONGEST_S
    )

    @model_validator(mode="before")
    @classmethod
    def _need_both(cls, form: dict[str, Any]) -> dict[str, Any]:
        names = {"expires_after[anchor]", "expires_after[seconds]"}
        return form | (dict.fromkeys(names - form.keys(), "") if names & form.keys() else {})

    @property
    def filename(self) -> str:
        """Its name without folders and control characters; it is only ever shown."""
        last = re.split(r"[/\\]", self.file.filename or "")[-1]
        return re.sub(r"[\x00-\x1f\x7f]", "", last)[:255] or "file"

    def pieces(self) -> Iterator[bytes]:
        """Yield the content piece by piece."""
        return iter(lambda: self.file.file.read(CHUNK_BYTES), b"")


async def read_upload(request: Request) -> Upload:
    """Return the upload that a request holds. Raise `ApiError` if its form isn't one."""
    check_type(request, "multipart/form-data", "multipart/form-data")
    # Python knows encodings that decode to what isn't text, or fail.
    charset = re.search(r"charset\s*=\s*\"?([^\s;\"]*)", request.headers["content-type"], re.IGNORECASE)
    if charset and charset[1].lower() not in ("utf-8", "utf8"):
        raise ApiError(f"Unsupported charset '{charset[1]}': a form is read as UTF-8.", code="unsupported_content_type")
    form = await request.form(max_files=1, max_fields=MOST_FIELDS)
    try:
        return Upload.model_validate(dict(form))
    except ValidationError as error:
        raise refusal(error.errors(include_url=False)) from None
