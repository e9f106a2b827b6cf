"""What is over is kept for a while, and then forgotten."""

from collections.abc import Callable

import structlog

from gateway.conversations import Conversations
from gateway.engine.bounds import Bounds
from gateway.engine.chore import Forgetting
from gateway.stores import Ledger

log = structlog.get_logger(__name__)


class JobRetention(Forgetting):
    """Forgets ended jobs of one store when their time is over."""

    def __init__(self, store: Ledger, bounds: Bounds, now: Callable[[], float]) -> None:
        super().__init__(bounds.retention)
        self._store = store
        self._keep_dead_s = bounds.dead_letter_retention
        self._now = now

    async def prune(self) -> None:
        now = self._now()
        gone = await self._store.prune(now - self.keep_s, now - self._keep_dead_s)
        if gone:
            log.info("jobs_pruned", jobs=len(gone))


class ConversationRetention(Forgetting):
    """Forgets the conversations of one store in which nothing was said for so long."""

    def __init__(
        self, conversations: Conversations, keep_s: float, now: Callable[[], float]
    ) -> None:
        super().__init__(keep_s)
        self._conversations = conversations
        self._now = now

    async def prune(self) -> None:
        gone = await self._conversations.prune(self._now() - self.keep_s)
        if gone:
            log.info("conversations_forgotten", conversations=gone)
