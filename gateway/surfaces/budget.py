"""The warning on answers to those whose app has spent most of its budget."""

from aiohttp import hdrs, web

from gateway.engine.core import Core
from gateway.tenants import Tenant

HEADER = "X-Budget-Warning"


def warn(core: Core, payer: Tenant, request: web.Request, response: web.StreamResponse) -> None:
    """Put the warning on an answer that made a job which `payer` pays for."""
    if request.method == hdrs.METH_POST and response.status < 400:
        warning = core.budgets.warning(payer)
        if warning is not None:
            response.headers[HEADER] = warning
