"""`token`: a user token, as a back end would make it."""

import argparse
import secrets
import time

import jwt

from gateway.commands import CommandError, conf
from gateway.commands.terminal import say, show_json


def make(typed: argparse.Namespace, environ: dict[str, str]) -> int:
    """Print a token, signed with the gateway's secret."""
    config = conf.read(typed, environ).config()
    secret = config.settings.jwt_secret
    if secret is None:
        raise CommandError(
            "JWT_SECRET is not set. Set it to the gateway's, at least 32 bytes, "
            f"such as this new one:\n  export JWT_SECRET={secrets.token_urlsafe(32)}"
        )
    if typed.app not in {tenant.name for tenant in config.tenants}:
        say(f"warning: no app is named {typed.app}; the gateway will refuse this token.")
    expires = int(time.time() + typed.hours * 3600)
    claims = {"app": typed.app, "sub": typed.user, "exp": expires}
    token = jwt.encode(claims, secret, algorithm="HS256")
    if typed.json:
        show_json({"token": token, **claims})
    else:
        print(token)
    return 0
