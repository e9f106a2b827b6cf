"""Which parameters a model is known to refuse by its name."""

import pytest

from gateway.sampling import refused

OPENAI = (
    *("temperature", "top_p", "frequency_penalty", "presence_penalty", "stop"),
    *("logit_bias", "logprobs", "top_logprobs"),
)
ANTHROPIC = ("temperature", "top_p", "top_k")


@pytest.mark.parametrize(
    ("provider", "model", "want"),
    [
        *[("openai", model, OPENAI) for model in ("o1", "o3-mini", "gpt-5", "gpt-5-nano")],
        ("groq", "openai/o9", OPENAI),
        *[("openai", model, ()) for model in ("gpt-4o", "gpt-5.1", "gpt-5-chat-latest", "omni")],
        ("groq", "openai/gpt-oss-120b", ()),
        *[("anthropic", f"claude-{model}", ANTHROPIC) for model in ("opus-4-7", "sonnet-5")],
        *[("anthropic", f"claude-{model}", ()) for model in ("3-haiku", "sonnet-4-5", "opus-4-6")],
        ("anthropic", "somebody-s", ()),
        ("together", "claude-opus-4-7", ()),
        ("simulator", "o1", ()),
    ],
)
def test_a_name_tells_what_its_provider_refuses(
    provider: str, model: str, want: tuple[str, ...]
) -> None:
    """Models that reason are not told how to draw their tokens, nor are Anthropic's newest."""
    assert refused(provider, model) == want
