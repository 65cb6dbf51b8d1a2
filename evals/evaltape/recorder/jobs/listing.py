"""Reads a listing page by page, to its end or to where it stops making sense."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from evaltape.recorder.failures import CallFailed
from evaltape.recording.cassettes import Exchange

PAGE = 100
MOST_PAGES = 200
"""Pages of one listing: 20,000 jobs, files or events."""

AskPage = Callable[[dict[str, Any]], Awaitable[Exchange]]
"""Asks for a page, given `limit` and perhaps `after`."""


@dataclass
class Listing:
    """What a listing holds, in its own order."""

    items: list[dict[str, Any]] = field(default_factory=list)
    """Each id once."""
    pages: list[Exchange] = field(default_factory=list)
    unfinished: str | None = None
    """Why it couldn't be read to its end."""


async def read_listing(ask: AskPage) -> Listing:
    """Read all pages. A listing that says `has_more` and brings nothing new, or never ends, comes back unfinished.

    Raises `CallFailed` if a page can't be had or isn't one.
    """
    listing, seen, query = Listing(), set[str](), {"limit": PAGE}
    while True:
        exchange = await ask(query)
        items, has_more = _page(exchange.answered)
        fresh = [item for item in items if item["id"] not in seen]
        seen.update(item["id"] for item in fresh)
        listing.items += fresh
        listing.pages.append(exchange)
        if not has_more or not items:
            return listing
        if not fresh:
            listing.unfinished = f"page {len(listing.pages)} of the listing says has_more and brings nothing new"
            return listing
        if len(listing.pages) == MOST_PAGES:
            listing.unfinished = f"the listing says has_more after {MOST_PAGES} pages"
            return listing
        query = {"limit": PAGE, "after": items[-1]["id"]}


def _page(answered: Any) -> tuple[list[dict[str, Any]], bool]:
    items = answered.get("data") if isinstance(answered, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) and isinstance(item.get("id"), str) for item in items):
        raise CallFailed("the answer is no listing of the fine-tuning API")
    return items, bool(answered.get("has_more"))
