"""Conversations in which nothing was said for long are forgotten."""

from collections.abc import Callable

import structlog

from gateway.conversations import Conversations
from gateway.engine.chore import Forgetting

log = structlog.get_logger(__name__)


class Resting(Forgetting):
    """Forgets the conversations of one store when they have rested for so long."""

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
