"""A new configuration in a running gateway: what it changes at once, and what takes a restart.

Apps, models and modes are replaced whole. Of the settings, those change that only the doors go
by; the others were built into the queue, the stores, the providers or the log at the start.
"""

import structlog
from msgspec.structs import replace

from gateway.config import Config, Settings
from gateway.doors import Doors
from gateway.engine.core import Core

log = structlog.get_logger(__name__)

# Settings that change without a restart.
AT_ONCE = frozenset(
    {
        "public_url",
        "trusted_proxies",
        "allowed_origins",
        "anonymous_app",
        "poll_needs_app_code",
        "local_admin",
        "user_max_active",
        "user_rate_limit",
        "start",
        "on_disconnect",
        "heartbeat",
        "stream_max_age",
        "max_streams",
        "max_streams_per_app",
        "callback_allowed_origins",
        "default_model",
        "fallback_models",
    }
)


class Reloading:
    """The configuration that one running gateway goes by.

    Attributes:
        config: that configuration; settings that wait for a restart are the old ones in it.
    """

    def __init__(self, config: Config, core: Core, doors: Doors) -> None:
        self.config = config
        self._core = core
        self._doors = doors

    def change(self, config: Config) -> None:
        """Go by `config` from now on, and log what changed and what did not.

        No request that has begun is touched. Streams of an app that has left, or has another
        code, end at the next look at them; what it has asked for still runs and is called back.
        Whole or not at all: where it raises, the old configuration is in force as it was.
        """
        old, new = self.config.settings, config.settings
        names = Settings.__struct_fields__
        changed = [name for name in names if getattr(old, name) != getattr(new, name)]
        at_once = {name: getattr(new, name) for name in changed if name in AT_ONCE}
        in_force = replace(config, settings=replace(old, **at_once))
        apps = {tenant.name: tenant for tenant in config.tenants}
        # All that may fail comes first; the lines after it only put one value for another.
        open_doors = self._doors.change(in_force)
        self._core.auth.replace(config.tenants, in_force.settings.anonymous_app)
        self._core.reload(
            config.catalog, {name: tenant.max_concurrent for name, tenant in apps.items()}
        )
        open_doors()
        self.config = in_force
        log.info(
            "configuration_reloaded",
            apps=len(apps),
            models=len(config.catalog.models),
            modes=len(config.modes),
            settings=sorted(at_once),
        )
        if waiting := sorted(set(changed) - AT_ONCE):
            log.warning("restart_needed", settings=waiting)
