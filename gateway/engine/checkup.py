"""How the providers are: asked at start-up and now and then, never in the way of a request."""

import asyncio
from collections.abc import Iterable, Mapping

import structlog

from gateway.engine.chore import Chore
from gateway.errors import ProviderError, ProviderRateLimited, ProviderRefused
from gateway.providers import Provider

log = structlog.get_logger(__name__)

_EVERY_S = 60.0
_TIMEOUT_S = 10.0


class Checkup(Chore):
    """Keeps the status of each provider.

    Attributes:
        statuses: by provider: `connected`, `refused` (its key), `unreachable`, `no key`, or
            `unknown` before the first check.
    """

    def __init__(self, providers: Mapping[str, Provider], known: Iterable[str]) -> None:
        """Prepare; `start` begins.

        Args:
            known: the names of all providers there could be; the others have no key.
        """
        self._providers = providers
        self.statuses = {name: "unknown" if name in providers else "no key" for name in known}

    async def run(self) -> None:
        """Ask them all, again and again, until cancelled."""
        while True:
            await asyncio.gather(*(self._check(each) for each in self._providers.values()))
            await asyncio.sleep(_EVERY_S)

    async def _check(self, provider: Provider) -> None:
        before = self.statuses[provider.name]
        status = self.statuses[provider.name] = await ask(provider)
        if status == before:
            return
        if status == "connected":
            log.info("provider_connected", provider=provider.name)
        else:
            log.warning("provider_check_failed", provider=provider.name, status=status)


async def ask(provider: Provider) -> str:
    """The status of one provider, as `Checkup.statuses` names it."""
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            await provider.check()
    except TimeoutError:
        return "unreachable"
    except (ProviderRefused, ProviderRateLimited):
        # It knows the key. Not every server that speaks a provider's API lists its models.
        return "connected"
    except ProviderError as error:
        return "unreachable" if error.retryable else "refused"
    return "connected"
