"""Characters in two halves, as JSON allows and UTF-8 does not. Pure."""


def join(text: str) -> str:
    """The text with surrogate pairs as the characters they mean, and lone ones as U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def meet(half: str, text: str) -> tuple[str, str]:
    """The text joined to the half left over before it, and the half that it ends with.

    Args:
        half: a high surrogate whose other half is still to come, or nothing.
        text: not empty.
    """
    text, half = half + text, ""
    if "\ud800" <= text[-1] <= "\udbff":
        text, half = text[:-1], text[-1]
    return join(text), half
