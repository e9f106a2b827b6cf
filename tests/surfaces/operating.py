"""A gateway that one of the apps may operate."""

from typing import Any

from tests.surfaces.running import CODE, Gateway, apps, bearer

OPS_CODE = "gw_code-of-the-operators-0123456789abcdef"
OPS = bearer(OPS_CODE)
JSON = {"Content-Type": "application/json"}


def operated(**settings: Any) -> Gateway:
    """The shop and the bank, and an app of operators."""
    ops = {OPS_CODE: {"name": "ops", "admin": True, "allowed_request_types": ["ask"]}}
    return Gateway(app_codes=apps() | ops, **settings)


async def dead_letter(gateway: Gateway, url: str) -> str:
    """A job whose callback is given up: its receiver cannot be reached by the policy; its id."""
    job_id = await gateway.queue(callback_url=url)
    await gateway.over(job_id)
    return job_id


__all__ = ["CODE", "JSON", "OPS", "OPS_CODE", "dead_letter", "operated"]
