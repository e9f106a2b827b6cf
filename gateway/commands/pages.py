"""Lists that a gateway tells a page at a time."""

from collections.abc import Mapping
from typing import Any

from gateway.commands.remote import Call, Remote

# The gateway gives no more at once.
_PAGE_MOST = 200


async def items(
    gateway: Remote, path: str, name: str, wanted: Mapping[str, Any], limit: int
) -> list[dict[str, Any]]:
    """The first `limit` items of a list; its pages may be empty before it ends.

    Args:
        name: of the list in a page.
        wanted: of the query; see `Call`.

    Raises:
        CommandError: the gateway does not tell.
    """
    found: list[dict[str, Any]] = []
    before: str | None = None
    async with gateway:
        while len(found) < limit:
            query = {**wanted, "before": before, "limit": min(_PAGE_MOST, limit - len(found))}
            page = await gateway.json(Call("GET", path, params=query), name, "next")
            found += page[name]
            if page["next"] is None:
                break
            before = page["next"]
    return found
