"""A gateway that one of the apps may operate."""

from typing import Any

from tests.e2e import wire
from tests.surfaces.running import Gateway, apps, bearer

OPS_CODE = "gw_code-of-the-operators-0123456789abcdef"
OPS = bearer(OPS_CODE)
JSON = {"Content-Type": "application/json"}


def operated(**settings: Any) -> Gateway:
    """The shop and the bank, and an app of operators."""
    ops = {OPS_CODE: {"name": "ops", "admin": True, "allowed_request_types": ["ask"]}}
    return Gateway(app_codes=apps() | ops, **settings)


async def called_back(gateway: Gateway, url: str, state: str) -> str:
    """A job that is over, and whose callback stands so; its id."""
    job_id = await gateway.queue(callback_url=url)
    await gateway.over(job_id)
    await until(gateway, job_id, state)
    return job_id


async def until(gateway: Gateway, job_id: str, state: str) -> Any:
    """Wait until the callback of a job stands so; it as the operators see it."""
    told: Any = {}

    async def seen() -> Any:
        told.update((await gateway.get(f"/admin/webhooks/{job_id}", **OPS)).json())
        return told["state"]

    # What the receiver answered is recorded in a while, and nobody is told.
    await wire.eventually(seen, state, every_s=0.01)
    return told
