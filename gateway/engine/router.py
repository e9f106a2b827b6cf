"""From the models that a request names to those who serve them."""

from collections.abc import Callable, Mapping

from gateway.catalog import Catalog
from gateway.engine.run import Leg
from gateway.errors import UnknownModel
from gateway.messages import Request
from gateway.providers import Provider


class Router:
    """Knows the providers of this process by their names in the catalog."""

    def __init__(self, catalog: Callable[[], Catalog], providers: Mapping[str, Provider]) -> None:
        """Know whom to ask.

        Args:
            catalog: called for each request: it may be replaced.
        """
        self._catalog = catalog
        self._providers = providers

    def legs(self, request: Request) -> list[Leg]:
        """Whom to ask, in order: the model, then its fallbacks; without those nobody serves."""
        legs = []
        catalog = self._catalog()
        for name in dict.fromkeys((request.model, *request.fallback_models)):
            try:
                model = catalog.resolve(name)
            except UnknownModel:
                # It has left the catalog since the job was accepted.
                continue
            provider = self._providers.get(model.provider)
            if provider is not None:
                legs.append(Leg(model, provider))
        return legs
