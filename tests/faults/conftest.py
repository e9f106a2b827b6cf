"""The same gateway, provider and inbox as the end-to-end tests have."""

from tests.e2e.conftest import gateway, inbox, provider

__all__ = ["gateway", "inbox", "provider"]
