"""Sampling: which parameters of it the providers refuse for a model, as far as its name tells."""

import re

# OpenAI's models that reason. Those of gpt-5.1 and later are sampled where they are told not to.
_REASONING = re.compile(r"(.*/)?(o\d.*|gpt-5(?!\.|-chat).*)")
_BY_REASONING = (
    *("temperature", "top_p", "frequency_penalty", "presence_penalty", "stop"),
    *("logit_bias", "logprobs", "top_logprobs"),
)

# The last of Anthropic's that are sampled; those after them are not.
_SAMPLED = re.compile(r"claude-([123]|instant)\b.*|claude-[a-z]+-4(-[0-6])?([-@]\d{8})?")
_BY_CLAUDE = ("temperature", "top_p", "top_k")


def refused(provider: str, upstream: str) -> tuple[str, ...]:
    """The parameters that the provider refuses for its model of that name."""
    match provider:
        case "anthropic":
            return refused_by_anthropic(upstream)
        case "simulator":
            return ()
    return refused_by_openai(upstream)


def refused_by_openai(model: str) -> tuple[str, ...]:
    """Those that OpenAI refuses for a model, wherever else that is served."""
    return _BY_REASONING if _REASONING.fullmatch(model) else ()


def refused_by_anthropic(model: str) -> tuple[str, ...]:
    """Those that Anthropic refuses for a model."""
    sampled = not model.startswith("claude-") or _SAMPLED.fullmatch(model)
    return () if sampled else _BY_CLAUDE
