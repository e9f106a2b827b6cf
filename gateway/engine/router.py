"""From the models that a request names to those who serve them."""

from collections.abc import Callable, Mapping
from contextlib import suppress

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
            # A model may have left the catalog since the job was accepted.
            with suppress(UnknownModel):
                model = catalog.resolve(name)
                if model.provider in self._providers:
                    legs.append(Leg(model, self._providers[model.provider]))
        return legs
