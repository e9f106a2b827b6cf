"""The workflow for n8n as a picture, out of conf/n8n-workflow.json.

`python -m tests.workflow_picture > docs/how-to/n8n-workflow.svg` draws it anew.
"""

import json
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

_JSON = Path(__file__).parents[1] / "conf/n8n-workflow.json"

_WIDE, _HIGH, _EDGE = 168, 76, 24
# What n8n calls each kind, and its colour there.
_KINDS = {
    "webhook": ("Webhook", "#e5486b"),
    "jwt": ("JWT", "#d63aff"),
    "httpRequest": ("HTTP Request", "#2c6ecb"),
    "respondToWebhook": ("Respond to Webhook", "#7d5fd3"),
    "wait": ("Wait", "#804050"),
    "if": ("IF", "#3a9d4f"),
    "noOp": ("your nodes", "#808080"),
}
# Those with two outputs.
_OUTPUTS = {"httpRequest": ("success", "error"), "if": ("true", "false")}
_STYLE = """\
<style>
  .paper { fill: #ffffff } .box { fill: #f7f8fa }
  .wire { stroke: #8a94a6; fill: none; stroke-width: 2 }
  text { font: 13px system-ui, sans-serif; fill: #1c2330 } .kind { font-size: 11px; fill: #5b6472 }
  .says { font-size: 11px; fill: #b3372f }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #15181e } .box { fill: #20252e } text { fill: #e8ebf0 } .kind { fill: #a2abba }
  }
</style>"""


def picture(workflow: dict[str, Any]) -> str:
    """An SVG with a box for each node, where n8n would put it, and its wires."""
    nodes = {node["name"]: node for node in workflow["nodes"]}
    places = {name: _place(node) for name, node in nodes.items()}
    left, top = (min(place[axis] for place in places.values()) - _EDGE for axis in (0, 1))
    right = max(x for x, _ in places.values()) + _WIDE + _EDGE
    foot = max(y for _, y in places.values()) + _HIGH + _EDGE
    size = f"{left} {top} {right - left} {foot - top}"
    wires = [
        _wire(_kind(nodes[name]), places[name], places[to["node"]], number, len(outputs["main"]))
        for name, outputs in workflow["connections"].items()
        for number, output in enumerate(outputs["main"])
        for to in output
    ]
    boxes = [_box(nodes[name], place) for name, place in places.items()]
    paper = '<rect class="paper" x="{}" y="{}" width="{}" height="{}"/>'.format(*size.split())
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}" role="img">',
            f"<title>{escape(workflow['name'])}</title>",
            _STYLE, paper, *wires, *boxes, "</svg>", "",
        ]
    )  # fmt: skip


def _place(node: dict[str, Any]) -> tuple[int, int]:
    x, y = node["position"]
    return int(x), int(y)


def _box(node: dict[str, Any], place: tuple[int, int]) -> str:
    x, y = place
    kind, colour = _KINDS[_kind(node)]
    return (
        f'<rect class="box" x="{x}" y="{y}" width="{_WIDE}" height="{_HIGH}" rx="8" '
        f'stroke="{colour}" stroke-width="2"/>'
        f'<text x="{x + 12}" y="{y + 28}">{escape(node["name"])}</text>'
        f'<text class="kind" x="{x + 12}" y="{y + 48}">{kind}</text>'
        f'<text class="kind" x="{x + 12}" y="{y + 64}">{escape(_note(node))}</text>'
    )


def _note(node: dict[str, Any]) -> str:
    """The setting that matters, as n8n's panel words it."""
    parameters = node["parameters"]
    notes = {
        "webhook": "Respond: by its node",
        "jwt": "Sign, HS256",
        "httpRequest": "POST /init-stream",
        "respondToWebhook": f"Code {parameters.get('options', {}).get('responseCode', 200)}",
        "wait": f"{parameters.get('httpMethod')}, at most {parameters.get('resumeAmount')} min",
        "if": "$json.body?.ok",
    }
    return notes.get(_kind(node), "")


def _kind(node: dict[str, Any]) -> str:
    return str(node["type"]).partition(".")[2]


def _wire(
    kind: str, start: tuple[int, int], end: tuple[int, int], number: int, outputs: int
) -> str:
    """From one of a node's outputs to the next node's input; the second output is the bad news."""
    x, y = start[0] + _WIDE, start[1] + _HIGH * (number + 1) // (outputs + 1)
    to_x, to_y = end[0], end[1] + _HIGH // 2
    middle = (x + to_x) // 2
    path = f'<path class="wire" d="M{x} {y} C{middle} {y} {middle} {to_y} {to_x} {to_y}"/>'
    if outputs == 1:
        return path
    says = _OUTPUTS[kind][number]
    return f'{path}<text class="says" x="{x + 4}" y="{y + (24 if number else -12)}">{says}</text>'


if __name__ == "__main__":
    print(picture(json.loads(_JSON.read_text("utf-8"))), end="")
