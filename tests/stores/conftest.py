"""The conformance suite explains its failures as a test file does."""

import pytest

pytest.register_assert_rewrite("tests.stores.conformance")
pytest.register_assert_rewrite("tests.stores.conversation_conformance")
