"""From the models that a request names to those who serve them."""

from collections.abc import Mapping
from contextlib import suppress

from gateway.catalog import Catalog
from gateway.engine.run import Leg
from gateway.errors import UnknownModel
from gateway.messages import Request
from gateway.providers import Provider


class Router:
    """Knows the providers of this process by their names in the catalog."""

    def __init__(self, catalog: Catalog, providers: Mapping[str, Provider]) -> None:
        self._catalog = catalog
        self._providers = providers

    def legs(self, request: Request) -> list[Leg]:
        """Whom to ask, in order: the model, then its fallbacks; without those nobody serves."""
        legs = []
        for name in dict.fromkeys((request.model, *request.fallback_models)):
            # A model may have left the catalog since the job was accepted.
            with suppress(UnknownModel):
                model = self._catalog.resolve(name)
                if model.provider in self._providers:
                    legs.append(Leg(model, self._providers[model.provider]))
        return legs
