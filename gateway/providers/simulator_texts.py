"""What the simulator says, by name. Each text says of itself that nobody thought of it."""

LOREM = (
    "This text comes from a simulator: lorem ipsum dolor sit amet, consectetur adipiscing "
    "elit, sed do eiusmod tempor incididunt ut labore et dolore magna aliqua."
)
UNICODE = "naïve Żółć 漢字かな שלום 🙂 👩‍👩‍👧‍👦 𝄞 e\u0301"
MARKDOWN = '''\
## A simulated answer

No model wrote this: it shows **what answers are made of**, such as *emphasis*, `code` and
[links](https://commonmark.org).

1. Text arrives in pieces, and is shown as it comes.
2. A piece may end anywhere:
   - in the middle of a **word**,
   - or before the end of `code`.

| Part | Shown as | Width |
|---|---|---:|
| Heading | text | 2 |
| Table | table | 3 |

```python
def stream(words: list[str]) -> Iterator[str]:
    """Say one word after the other."""
    for word in words:
        yield word
```

> What comes from a model is never HTML: <script>alert("no")</script> stays text,
> and ![a picture](https://example.org/picture.png) is named, not loaded.

הטקסט הזה נכתב מימין לשמאל.

That is all.
'''
_KNOWN = {"lorem": LOREM, "unicode": UNICODE, "markdown": MARKDOWN}


def text_of(name: str, prompt: str) -> str:
    """The text of that name; a name that is not known means the introduction."""
    if name == "echo":
        return prompt
    return _KNOWN.get(name) or _introduction(prompt)


def _introduction(prompt: str) -> str:
    asked = f"You wrote: “{prompt[:80]}{'…' if len(prompt) > 80 else ''}”. " if prompt else ""
    return (
        "This is the gateway's built-in simulator, not a model: it needs no key and no "
        f"network, and it knows nothing. {asked}Its words arrive one by one, at about the pace "
        "of a real model: reload the page in the middle, or cancel, and see what happens."
    )
