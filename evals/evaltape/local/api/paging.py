"""Pages of lists, as the API gives them."""

from typing import Annotated

from fastapi import Query

from evaltape.local.errors import ApiError
from evaltape.local.state.database import Row

Limit = Annotated[int, Query(ge=1, le=10_000)]
"""How many objects a page has at most."""


def page(rows: list[Row], after: str | None, limit: int) -> Row:
    """Return the page that follows the object with the id `after`. Raise `ApiError` if there is no such object."""
    if after:
        position = next((index for index, row in enumerate(rows) if row["id"] == after), None)
        if position is None:
            raise ApiError(f"No such object to continue after: {after}", param="after")
        rows = rows[position + 1 :]
    part = rows[:limit]
    ends = {"first_id": part[0]["id"], "last_id": part[-1]["id"]} if part else {"first_id": None, "last_id": None}
    return {"object": "list", "data": part, **ends, "has_more": len(rows) > limit}
