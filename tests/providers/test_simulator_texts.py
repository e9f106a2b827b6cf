"""What the simulator says."""

import pytest

from gateway.events import Delta
from gateway.providers.simulator import read_script
from gateway.providers.simulator_texts import LOREM, MARKDOWN, UNICODE, text_of


@pytest.mark.parametrize(
    ("name", "text"),
    [("echo", "said"), ("lorem", LOREM), ("markdown", MARKDOWN), ("unicode", UNICODE)],
)
def test_each_name_has_its_text(name: str, text: str) -> None:
    """What is known by name is said, character for character, in words that keep their spaces."""
    said = [step.part for step in read_script(name).plan("said", None, ())]
    assert "".join(part.text for part in said if isinstance(part, Delta)) == text


def test_any_other_name_introduces_itself() -> None:
    """Nobody can take it for a model; much of a prompt is not said back."""
    told = text_of("gpt-9", "x" * 200)
    assert "not a model" in told
    assert f"“{'x' * 80}…”" in told
    assert "You wrote" not in text_of("gpt-9", "")
