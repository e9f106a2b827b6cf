"""`Idempotency-Key`: a request that is sent again is the same job, at every door that makes one.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

import hashlib
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import web

from gateway.engine.core import Principal
from gateway.errors import Conflict, InvalidRequest
from gateway.jobs import Job
from gateway.surfaces.route import Parameter

HEADER = "Idempotency-Key"
_MOST_CHARACTERS = 255
PARAMETER = Parameter(
    HEADER,
    "header",
    "A text of the caller's choice. The same key and body are the same job, also while it runs; "
    "the same key with another body is refused.",
)


class Repeat(NamedTuple):
    """What tells a repeat from another request, as an `Ask` wants it.

    Attributes:
        key: None where the caller gave none: then every request is a new job.
        fingerprint: of what must be the same for a repeat.
    """

    key: str | None = None
    fingerprint: str | None = None

    def entry(self, index: int) -> "Repeat":
        """Of one of several jobs that a request makes."""
        return self if self.key is None else self._replace(key=f"{self.key}:{index}")

    async def claim(self, held: Callable[[str], Awaitable[Job | None]], most: int) -> None:
        """Let the key be of this request as a whole, before it makes any of its jobs.

        Args:
            held: finds the job that holds a key.
            most: how many jobs another request of that key may have made, the first of them
                perhaps refused.

        Raises:
            Conflict: the key belongs to another request.
        """
        for index in range(most) if self.key else ():
            earlier = await held(f"{self.key}:{index}")
            if earlier is not None:
                if earlier.fingerprint != self.fingerprint:
                    raise Conflict
                return


def repeat_of(request: web.Request, principal: Principal, door: str, body: bytes) -> Repeat:
    """The repeat that a request may be: of the same caller, at the same door, byte for byte.

    Raises:
        InvalidRequest: the key is empty, too long, or not printable ASCII.
    """
    keys = request.headers.getall(HEADER, ())
    if not keys:
        return Repeat()
    key = keys[0]
    printable = key.isascii() and key.isprintable() and key.strip()
    if len(keys) > 1 or not printable or len(key) > _MOST_CHARACTERS:
        raise InvalidRequest(
            f"{HEADER} must be one text of 1 to {_MOST_CHARACTERS} printable characters.",
            field=HEADER,
        )
    # A user whom a token names has keys of its own: another's answer is not for it.
    user = f"user:{principal.user}" if principal.proven else ""
    scope = (principal.tenant.name, user, key)
    return Repeat(f"header:{digest(*scope)}", digest(door, hashlib.sha256(body).hexdigest()))


def digest(*parts: str) -> str:
    """One text for several; other parts give another."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part.encode("utf-8", "surrogatepass")).digest())
    return whole.hexdigest()
