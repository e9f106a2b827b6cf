"""The breakers of one process, one for each model that fails."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from gateway.breaker import Breaker, Standing, tells_of_trouble
from gateway.catalog import Model
from gateway.errors import ProviderError

log = structlog.get_logger(__name__)

# Callers may make up names of models: no more breakers are kept than this.
_MOST = 1000


class Sparing:
    """Knows which models are not to be asked now.

    By model and not by provider: one that is overloaded must not cost the others.
    """

    def __init__(self, time: Callable[[], float]) -> None:
        """Begin with all models in order.

        Args:
            time: seconds from any beginning, such as the loop's.
        """
        self._time = time
        self._breakers: dict[tuple[str, str], Breaker] = {}

    @contextmanager
    def guard(self, model: Model) -> Iterator[None]:
        """Ask the model inside the block; a failure that leaves the block is remembered.

        Raises:
            ProviderSpared: the model is not to be asked; the block is not entered.
        """
        key = (model.provider, model.upstream)
        breaker = self._breakers.get(key) or Breaker()
        mark = breaker.admit(self._time())
        try:
            yield
        except ProviderError as error:
            if tells_of_trouble(error):
                self._failed(key, mark)
            else:
                # Whoever refuses is there.
                self.answered(model)
            raise
        finally:
            breaker.left(mark)

    def answered(self, model: Model) -> None:
        """The model said something: what it failed before is forgotten."""
        breaker = self._breakers.pop((model.provider, model.upstream), None)
        if breaker is not None and breaker.open:
            log.info("model_is_back", model=model.name, provider=model.provider)

    def states(self) -> list[tuple[str, str, Standing]]:
        """The models that failed since they last answered: provider, model, and how each stands."""
        return [(*key, breaker.standing) for key, breaker in self._breakers.items()]

    def _failed(self, key: tuple[str, str], mark: object | None) -> None:
        breaker = self._breakers.setdefault(key, Breaker())
        if breaker.failed(self._time(), mark):
            log.warning("model_spared", provider=key[0], model=key[1])
        if len(self._breakers) > _MOST:
            del self._breakers[next(iter(self._breakers))]
