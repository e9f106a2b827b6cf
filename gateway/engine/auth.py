"""Who is asking: one place that knows every form of credential.

An app code is looked up by its digest. A user token is a JWT (RFC 7519), HS256, made by the
app's own back end. A stream token is a JWT that the gateway makes, for reading one job; its
key is derived, so that neither kind can ever pass for the other.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterable
from typing import Any

import jwt
import msgspec

from gateway import tenants
from gateway.errors import Unauthenticated
from gateway.jobs import Job, Owner
from gateway.tenants import Tenant
from gateway.trace import Trace

_ALGORITHM = "HS256"
_STREAM_AUDIENCE = "stream"
# No token is longer; a longer one is refused unread.
_TOKEN_MOST_BYTES = 4096
# A user token that is good for longer than a year is a mistake, or a find.
_LIFE_MOST_S = 366 * 86_400
STREAM_TOKEN_MOST_S = 3600


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, and for what it was let in.

    Attributes:
        user: the user of the tenant for whom it is asked; None for the tenant itself.
        proven: the user is named by a token, and may be read as nobody else.
        job_id: the one job a stream token may read; None for other credentials.
        trace: the span in which they ask; None where nothing is traced.
    """

    tenant: Tenant
    user: str | None = None
    proven: bool = False
    job_id: str | None = None
    trace: Trace | None = None

    def owner(self, named: str | None = None) -> Owner:
        """Whose a job of this principal is. A token's user beats the one `named` in a body."""
        return Owner(tenant=self.tenant.name, user=self.user if self.proven else named)

    def may_read(self, job_id: str, owner: Owner) -> bool:
        """The job is this principal's own."""
        if self.job_id is not None:
            return job_id == self.job_id
        own = owner.tenant == self.tenant.name
        return own and (not self.proven or owner.user == self.user)

    def joined(self, other: "Principal") -> "Principal":
        """Who holds the credentials of both: the narrower of the two.

        Raises:
            Unauthenticated: they are of two apps, or each is narrower than its app in its own way.
        """
        if self.tenant.name != other.tenant.name:
            raise Unauthenticated("The credentials are of different apps.")
        if other == self or not other._narrow:
            return self
        if not self._narrow:
            return other
        raise Unauthenticated("The credentials are of different callers.")

    @property
    def _narrow(self) -> bool:
        return self.proven or self.job_id is not None


class Auth:
    """Checks credentials. Needs no store; knows the apps, which may be replaced."""

    def __init__(
        self,
        apps: Iterable[Tenant],
        *,
        jwt_secret: str | None,
        stream_secret: str,
        anonymous_app: str | None = None,
        now: Callable[[], float],
        steady: Callable[[], float] | None = None,
    ) -> None:
        """Know the apps.

        Args:
            jwt_secret: of user tokens; None where none are taken.
            stream_secret: what the key of stream tokens is derived from.
            anonymous_app: the name of the app for requests without a credential.
            now: what others' tokens are judged by.
            steady: the time by which jobs are made, and the tokens of their streams judged.
        """
        self._jwt_secret = jwt_secret
        self.sign_streams_with(stream_secret)
        self._now, self._steady = now, steady or now
        self.replace(apps, anonymous_app)

    def replace(self, apps: Iterable[Tenant], anonymous_app: str | None) -> None:
        """Know these apps from now on, and no others.

        Raises:
            KeyError: the anonymous one is none of them; nothing was changed.
        """
        by_digest = {app.code_digest: app for app in apps}
        by_name = {app.name: app for app in by_digest.values()}
        self._anonymous = by_name[anonymous_app] if anonymous_app else None
        self._by_digest, self._by_name = by_digest, by_name
        # Who came with the right code before: a digest need not be taken again.
        self._known: dict[str, Principal] = {}

    def knows(self, tenant: Tenant) -> bool:
        """The app is still one of them, under the code it had."""
        return tenant.code_digest in self._by_digest

    @property
    def tenants(self) -> tuple[Tenant, ...]:
        """All apps."""
        return tuple(self._by_name.values())

    def sign_streams_with(self, secret: str) -> None:
        """Derive the key of stream tokens from this secret; those made before are refused."""
        self._stream_key = hmac.digest(secret.encode(), b"stream token", "sha256")

    def tenant(self, name: str) -> Tenant | None:
        """The app of that name."""
        return self._by_name.get(name)

    def anonymous(self) -> Principal:
        """Who asks without any credential.

        Raises:
            Unauthenticated: nobody may.
        """
        if self._anonymous is None:
            raise Unauthenticated
        return Principal(tenant=self._anonymous)

    def app(self, code: str) -> Principal:
        """Who holds an app code.

        Raises:
            Unauthenticated: it is nobody's.
        """
        principal = self._known.get(code)
        if principal is None:
            # Found by its digest: how long the look-up takes tells nothing of the code.
            tenant = self._by_digest.get(tenants.digest(code))
            if tenant is None:
                raise Unauthenticated("Unknown app code.")
            principal = self._known[code] = Principal(tenant=tenant)
        return principal

    def bearer(self, token: str) -> Principal:
        """Who holds what came as a token: an app code, a user token or a stream token.

        Raises:
            Unauthenticated: none of them, or expired.
        """
        if token.count(".") != 2 or not token.startswith("ey"):
            return self.app(token)
        if len(token) > _TOKEN_MOST_BYTES:
            raise Unauthenticated("The token is too long.")
        return self.stream(token) or self.user(token)

    def user(self, token: str) -> Principal:
        """The user whom a user token names.

        Raises:
            Unauthenticated: wrong, expired, or good for too long.
        """
        if len(token) > _TOKEN_MOST_BYTES:
            raise Unauthenticated("The token is too long.")
        if self._jwt_secret is None:
            raise Unauthenticated("User tokens are not taken here.")
        claims = self._decode(token, self._jwt_secret.encode(), self._now())
        tenant = self._by_name.get(claims["app"]) if isinstance(claims["app"], str) else None
        if tenant is None or not claims["sub"] or claims.get("aud") == _STREAM_AUDIENCE:
            raise Unauthenticated("The token is not valid.")
        if claims["exp"] > self._now() + _LIFE_MOST_S:
            raise Unauthenticated("The token is good for too long.")
        return Principal(tenant=tenant, user=claims["sub"], proven=True)

    # -- stream tokens ------------------------------------------------------------------------

    def stream_token(self, job: Job, life_s: float) -> str:
        """A token that reads `job`, good from its creation for `life_s`, at most an hour.

        The same job and life give the same token.
        """
        claims = {
            "aud": _STREAM_AUDIENCE,
            "sub": job.id,
            "app": job.owner.tenant,
            "exp": int(job.created_at + min(life_s, STREAM_TOKEN_MOST_S)),
        }
        return jwt.encode(claims, self._stream_key, algorithm=_ALGORITHM)

    def stream(self, token: str) -> Principal | None:
        """Who holds a stream token; None if it is signed as none.

        Raises:
            Unauthenticated: it is one, and not good any more.
        """
        if len(token) > _TOKEN_MOST_BYTES:
            return None
        signed, _, signature = token.encode("utf-8", "surrogatepass").rpartition(b".")
        ours = base64.urlsafe_b64encode(hmac.digest(self._stream_key, signed, "sha256"))
        if not hmac.compare_digest(ours.rstrip(b"="), signature):
            return None
        claims = self._decode(token, self._stream_key, self._steady())
        tenant = self._by_name.get(claims["app"])
        if tenant is None:
            raise Unauthenticated("The token is not valid.")
        return Principal(tenant=tenant, job_id=claims["sub"])

    def _decode(self, token: str, key: bytes, now: float) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                options={
                    "require": ["exp", "sub", "app"],
                    "verify_aud": False,
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
            # A name of half a character is nobody's: it could be written nowhere.
            claims["sub"].encode()
        except (jwt.InvalidTokenError, ValueError, RecursionError):
            raise Unauthenticated("The token is not valid.") from None
        expires, begins = claims["exp"], claims.get("nbf", 0)
        if not isinstance(expires, int | float) or not isinstance(begins, int | float):
            raise Unauthenticated("The token is not valid.")
        if not begins <= now < expires:
            raise Unauthenticated("The token has expired, or is not good yet.")
        return claims


def new_stream_secret(random_bytes: Callable[[int], bytes]) -> str:
    """A secret for stream tokens where the configuration has none: good for this process."""
    return hashlib.sha256(random_bytes(32)).hexdigest()
