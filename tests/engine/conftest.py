"""The rig explains its failures as a test file does."""

import pytest

pytest.register_assert_rewrite("tests.engine.rig")
