"""Who asks, and on whose behalf: what the bodies of all doors that make jobs have in common."""

from typing import Annotated

import msgspec

from gateway.errors import InvalidRequest

_USER = msgspec.Meta(
    description="A user of the app, whose the job then is; a user's own token beats it."
)


class OnBehalf(msgspec.Struct, frozen=True):
    """What a body says of its caller. The user has two spellings: workflows know the second."""

    app_code: str | None = None
    user_id: Annotated[str, _USER] | None = None
    userId: Annotated[str, _USER] | None = None

    def named(self) -> str | None:
        """The user for whom it is asked; None for nobody in particular.

        Raises:
            InvalidRequest: there are two.
        """
        if self.user_id and self.userId and self.user_id != self.userId:
            raise InvalidRequest("user_id and userId name different users.", field="userId")
        return self.user_id or self.userId or None


class OnUsersBehalf(OnBehalf, frozen=True):
    """The same on OpenAI's wire, which has its own word for the user: it comes first."""

    user: str | None = None

    def named(self) -> str | None:
        """The user for whom it is asked; None for nobody in particular.

        Raises:
            InvalidRequest: there are two.
        """
        return self.user or OnBehalf.named(self)
