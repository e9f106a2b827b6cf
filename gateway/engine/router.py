"""From the models that a request names to those who serve them."""

from collections.abc import Mapping

from gateway.catalog import Catalog
from gateway.engine.run import Leg
from gateway.messages import Request
from gateway.providers import Provider


class Router:
    """Knows the providers of this process by their names in the catalog."""

    def __init__(self, catalog: Catalog, providers: Mapping[str, Provider]) -> None:
        self._catalog = catalog
        self._providers = providers

    def legs(self, request: Request) -> list[Leg]:
        """Whom to ask, in order: the model, then its fallbacks; without those nobody serves.

        Raises:
            UnknownModel: one of them is in no catalog.
        """
        names = dict.fromkeys((request.model, *request.fallback_models))
        models = [self._catalog.resolve(name) for name in names]
        return [
            Leg(model, self._providers[model.provider])
            for model in models
            if model.provider in self._providers
        ]
