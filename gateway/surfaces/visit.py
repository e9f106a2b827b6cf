"""What is known of a request from its route to its answer."""

from aiohttp import web

from gateway.surfaces.route import Access
from gateway.tenants import Tenant


class Visit:
    """One request that has found its route.

    Attributes:
        access: what the route lets its caller do.
        payer: who pays for what it makes; None where it makes nothing.
        headers: what its answer is to carry besides its own.
    """

    __slots__ = ("access", "headers", "payer")

    def __init__(self, access: Access) -> None:
        self.access = access
        self.payer: Tenant | None = None
        self.headers: dict[str, str] = {}


VISIT = web.RequestKey("visit", Visit)
