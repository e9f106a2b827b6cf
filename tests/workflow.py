"""The workflow that is shipped for n8n, run as n8n runs it: node after node, call by call.

Its expressions are JavaScript, and Node evaluates them; what they see is what n8n gives them.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import jwt
from aiohttp import ClientSession

from tests.engine.n8n import N8n
from tests.processes import PATH, ROOT

WORKFLOW = json.loads((ROOT / "conf/n8n-workflow.json").read_text("utf-8"))
NODES: dict[str, dict[str, Any]] = {node["name"]: node for node in WORKFLOW["nodes"]}
# As n8n's HTTP Request node sends them.
_HEADERS = {"User-Agent": "axios/1.12.0", "Accept": "application/json,text/html,*/*;q=0.8"}

_EVALUATE = """
const { expression, items, execution } = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const names = Object.keys(items), last = items[names[names.length - 1]];
const $ = (name) => ({ item: { json: items[name] } });
const code = expression.match(/^=\\{\\{([^]*)\\}\\}$/)[1];
const value = new Function('$json', '$', '$execution', `return (${code});`)(last, $, execution);
process.stdout.write(JSON.stringify(value));
"""


class Response(NamedTuple):
    """What the page gets."""

    status: int
    body: Any


class Execution:
    """One run of the workflow.

    Attributes:
        response: what Respond to Webhook gave the page; None before that.
        items: what each node gave, by its name, in their order.
    """

    def __init__(self, session: ClientSession, gateway: str, resume_url: str, secret: str) -> None:
        """Be about to run.

        Args:
            gateway: its origin, in place of the one in the file.
            resume_url: where the Wait node waits.
            secret: in the JWT credential.
        """
        self._session = session
        self._gateway = gateway
        self._execution = {"resumeUrl": resume_url}
        self._secret = secret
        self.response: Response | None = None
        self.items: dict[str, Any] = {}

    async def run(self, body: dict[str, Any], n8n: N8n) -> str:
        """Go from the page's question to the last node; its name."""
        self._n8n = n8n
        name, branch = "Webhook", 0
        self.items[name] = {"body": body, "headers": {}, "query": {}, "params": {}}
        while followers := _after(name, branch):
            (name,) = followers
            self.items[name], branch = await self._does(NODES[name])
        return name

    async def _does(self, node: dict[str, Any]) -> tuple[Any, int]:
        """What the node gives, and at which of its outputs."""
        kind = node["type"].partition(".")[2]
        doing: Callable[[dict[str, Any]], Awaitable[tuple[Any, int]]] = getattr(self, f"_{kind}")
        return await doing(node["parameters"])

    async def _jwt(self, parameters: dict[str, Any]) -> tuple[Any, int]:
        claims = json.loads(await self._value(parameters["claimsJson"]))
        algorithm = parameters["options"]["algorithm"]
        return {"token": jwt.encode(claims, self._secret, algorithm=algorithm)}, 0

    async def _httpRequest(self, parameters: dict[str, Any]) -> tuple[Any, int]:
        url = parameters["url"].replace("http://127.0.0.1:5000", self._gateway)
        body = await self._value(parameters["jsonBody"])
        headers = {**_HEADERS, "Content-Type": "application/json"}
        async with self._session.post(url, data=body.encode(), headers=headers) as response:
            said = await response.json()
            return (said, 0) if response.ok else ({"error": said}, 1)

    async def _respondToWebhook(self, parameters: dict[str, Any]) -> tuple[Any, int]:
        last = list(self.items.values())[-1]
        body = json.loads(await self._value(parameters["responseBody"]))
        self.response = Response(parameters["options"].get("responseCode", 200), body)
        return last, 0

    async def _wait(self, parameters: dict[str, Any]) -> tuple[Any, int]:
        await self._n8n.arrived(1)
        return {"body": json.loads(self._n8n.posts[0].body)}, 0

    async def _if(self, parameters: dict[str, Any]) -> tuple[Any, int]:
        (condition,) = parameters["conditions"]["conditions"]
        holds = await self._value(condition["leftValue"])
        assert isinstance(holds, bool), "a strict IF takes nothing else"
        return list(self.items.values())[-1], 0 if holds else 1

    async def _noOp(self, parameters: dict[str, Any]) -> tuple[Any, int]:
        return list(self.items.values())[-1], 0

    async def _value(self, expression: str) -> Any:
        return await evaluated(expression, self.items, self._execution)


async def evaluated(expression: str, items: dict[str, Any], execution: Any = None) -> Any:
    """The value of an expression, after nodes that gave these items."""
    node = await asyncio.create_subprocess_exec(
        "node", "-e", _EVALUATE, env={"PATH": PATH},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    told = {"expression": expression, "items": items, "execution": execution}
    out, _ = await node.communicate(json.dumps(told).encode())
    assert node.returncode == 0, expression
    return json.loads(out)


def expressions(value: Any) -> list[str]:
    """Every expression in a node's parameters."""
    if isinstance(value, dict):
        return [each for item in value.values() for each in expressions(item)]
    if isinstance(value, list):
        return [each for item in value for each in expressions(item)]
    return [value] if isinstance(value, str) and re.match(r"=\{\{", value) else []


def _after(name: str, branch: int) -> list[str]:
    outputs = WORKFLOW["connections"].get(name, {"main": []})["main"]
    return [each["node"] for each in outputs[branch]] if branch < len(outputs) else []
