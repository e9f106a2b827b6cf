"""The settings as a page, out of conf/gateway.toml.

`python -m tests.settings_page > docs/reference/settings.md` writes it anew.
"""

import re
from pathlib import Path

_TOML = Path(__file__).parents[1] / "conf" / "gateway.toml"
_HEAD = """\
# The settings

Each stands in `conf/gateway.toml` under this name, and in the environment (or in `.env`) under the
same name in capitals, which wins. Lists are separated by commas there. Times are in seconds. A file
of the setting's name in the folder that `CREDENTIALS_DIRECTORY` names stands between the two: so
[systemd](../how-to/systemd.md) hands over secrets.
"""


def page(toml: str) -> str:
    """The page: a table for each part of the file, in its order."""
    parts = re.split(r"^# --- (.+?) -+\n", toml, flags=re.MULTILINE)
    tables = zip(parts[1::2], parts[2::2], strict=True)
    return "".join([_HEAD, *(_table(title, text) for title, text in tables)])


def _table(title: str, text: str) -> str:
    rows = [_row(each) for each in text.strip().split("\n\n")]
    return "\n".join(["", f"## {title}", "", "| setting | what it is |", "|---|---|", *rows, ""])


def _row(paragraph: str) -> str:
    lines = paragraph.splitlines()
    names = [f"`{line.partition(' = ')[0]}`" for line in lines if not line.startswith("#")]
    said = " ".join(line.removeprefix("# ") for line in lines if line.startswith("#"))
    return f"| {', '.join(names)} | {said.replace('|', chr(92) + '|')} |"


if __name__ == "__main__":
    print(page(_TOML.read_text("utf-8")), end="")
