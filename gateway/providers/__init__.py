"""What the engine needs of a provider. One file here is one provider."""

from collections.abc import AsyncGenerator
from typing import Protocol

from gateway.events import Completed, Delta, Logprobs, ToolCall, Usage
from gateway.messages import Request

Output = Delta | ToolCall | Logprobs | Usage | Completed


class Provider(Protocol):
    """A service that streams a model's answer."""

    name: str

    def stream(self, request: Request, model: str) -> AsyncGenerator[list[Output], None]:
        """Ask once; yield the answer as it arrives, the last output exactly one Completed.

        Usage, where it is known, follows the last text and call.

        Each list is what one read brought; an empty one says that the model is at work on what
        is told later, such as the arguments of a call. The consumer may take its time between
        two: what arrives meanwhile comes in the next list.

        No retries, no time-outs but the connection's own: both are the worker's. Ending the
        generator early (`aclose`, or cancelling the task that awaits it) closes the upstream
        connection before it returns, so that the provider stops generating.

        Args:
            model: the provider's own name of the model.

        Raises:
            ProviderError: it failed; `retryable` and `retry_after_s` say what may help. An end
                of stream without a finish is a failure too.
            ProviderRefused: it called the request wrong.
        """
        ...

    async def check(self) -> None:
        """Ask for something small that needs the key.

        Raises:
            ProviderError: the provider is out of reach, or refused the key (`code` says so).
        """
        ...

    async def start(self) -> None:
        """Open what lives as long as the process. Call once, inside the loop."""
        ...

    async def stop(self) -> None:
        """Close it. Works unstarted and twice."""
        ...
