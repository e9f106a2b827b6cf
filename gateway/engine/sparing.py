"""The breakers of one process, one for each model that fails."""

from collections.abc import Callable

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

    def guard(self, model: Model, *, last: bool) -> "_Guard":
        """Ask the model inside a block of this; a failure that leaves it is remembered.

        Args:
            last: there is no other to ask instead, so that nothing is won by sparing this one.

        Raises:
            ProviderSpared: the model is not to be asked; the block is not entered.
        """
        breaker = self._breakers.get((model.provider, model.upstream))
        mark = None if breaker is None or last else breaker.admit(self._time())
        return _Guard(self, model, breaker, mark)

    def answered(self, model: Model) -> None:
        """The model said something: what it failed before is forgotten."""
        breaker = self._breakers.pop((model.provider, model.upstream), None)
        if breaker is not None and breaker.open:
            log.info("model_is_back", model=model.name, provider=model.provider)

    def states(self) -> list[tuple[str, str, Standing]]:
        """The models that failed since they last answered: provider, model, and how each stands."""
        return [(*key, breaker.standing) for key, breaker in self._breakers.items()]

    def failed(self, model: Model, mark: object | None) -> None:
        """A call to the model failed so that it may be out of order.

        Args:
            mark: what `Breaker.admit` gave the call.
        """
        key = (model.provider, model.upstream)
        breaker = self._breakers.setdefault(key, Breaker())
        if breaker.failed(self._time(), mark):
            log.warning("model_spared", provider=key[0], model=key[1])
        if len(self._breakers) > _MOST:
            del self._breakers[next(iter(self._breakers))]


class _Guard:
    """One call to a model, of which its breaker learns how it ended."""

    __slots__ = ("_breaker", "_mark", "_model", "_sparing")

    def __init__(
        self, sparing: Sparing, model: Model, breaker: Breaker | None, mark: object | None
    ) -> None:
        self._sparing = sparing
        self._model = model
        self._breaker = breaker
        self._mark = mark

    def __enter__(self) -> None:
        """The call was admitted before."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, ProviderError):
            if tells_of_trouble(error):
                self._sparing.failed(self._model, self._mark)
            else:
                # Whoever refuses is there.
                self._sparing.answered(self._model)
        if self._breaker is not None:
            self._breaker.left(self._mark)
