"""How deep JSON is nested: no honest request is, and Pythons differ in what they bear."""

import re

# Levels of objects and arrays within each other.
DEEPEST = 500

# Texts are stepped over whole, so that brackets in them do not count; one without an end up to the
# end of all, and never again from a quote inside it.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]|[\]}]', re.DOTALL)


def is_too_deep(data: bytes) -> bool:
    """The JSON is nested beyond what is read here. Says nothing of whether it is JSON."""
    # Nearly all that comes has not even so many brackets.
    if data.count(b"{") + data.count(b"[") <= DEEPEST:
        return False
    depth = 0
    for token in _TOKEN.finditer(data):
        byte = data[token.start()]
        if byte in b"[{":
            depth += 1
            if depth > DEEPEST:
                return True
        elif byte in b"]}":
            depth -= 1
    return False
