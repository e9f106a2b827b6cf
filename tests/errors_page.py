"""The errors as a page, out of the tree in gateway/errors.py and the shapes of the doors.

`python -m tests.errors_page > docs/reference/errors.md` writes it anew.
"""

from collections.abc import Iterator

from gateway.errors import GatewayError, ProviderError
from gateway.surfaces import ai_request, assistant, openai_error
from gateway.surfaces.polled import error_code

_HEAD = """\
# Errors

Every refusal and every failure is one of these, whatever the door; a door writes it in its own
shape. Texts may say more than is written here: which field is wrong, what would be right, when to
try again. This page is made from the code.

| shape | at |
|---|---|
| `{"status": "error", "error_code", "message"}` | the job queue, health |
| `{"ok": false, "error": {"code", "message"}}` | `/init-stream` and `/stream` |
| `{"error": {"code", "message", "field"?}}` | assistant, WebSocket, history, operators |
| `{"error": {"code", "message", "param"?}}` | chat and conversations |
| `{"error": {"message", "type", "param", "code"}}` | ask and OpenAI's doors |

`Retry-After` is there wherever a later try can help and somebody knows when. An error after a
stream has begun is an event of it: [Events](events.md). At the job queue, what a provider did is
told when the request is polled.

| code | status | text, where nothing more is known | at the job queue | at OpenAI's doors |
|---|---|---|---|---|
"""


def page() -> str:
    """The page: the shapes, and a row for each error."""
    return _HEAD + "".join(dict.fromkeys(_row(kind) for kind in kinds()))


def kinds(kind: type[GatewayError] = GatewayError) -> Iterator[type[GatewayError]]:
    """Each error, after the more general one that it is."""
    yield kind
    for special in kind.__subclasses__():
        yield from kinds(special)


def _row(kind: type[GatewayError]) -> str:
    error = kind()
    code = assistant.shape(error)["error"]["code"]
    polled = issubclass(kind, ProviderError)
    queue = error_code(code) if polled else ai_request.shape(error)["error_code"]
    door = openai_error.OpenAIDoor("openai", openai_error.shape, [])
    fault = openai_error.shape(error)["error"]
    openai = f"{door.status(kind)} `{fault['type']}`"
    if fault["code"]:
        openai += f", `{fault['code']}`"
    return f"| `{code}` | {kind.status} | {error} | `{queue}` | {openai} |\n"


if __name__ == "__main__":
    print(page(), end="")
