"""`completion`: what a shell offers after a tab."""

import re

import pytest

from gateway.cli import main
from tests.processes import pasted

# What bash does on a tab: it calls the function and offers what that leaves.
_TAB = """
eval "$(python run.py completion bash)"
{words}
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)) COMP_LINE="${{COMP_WORDS[*]}}" COMP_POINT=${{#COMP_LINE}}
$(complete -p gateway | sed 's/.*-F \\([^ ]*\\).*/\\1/') gateway
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


async def offered(*words: str) -> set[str]:
    """What bash offers for the last of these words."""
    quoted = " ".join(f'"{word}"' for word in ("gateway", *words))
    printed = await pasted(_TAB.format(words=f"COMP_WORDS=({quoted})"))
    return set(printed.split())


async def test_bash_offers_commands_verbs_options_and_words() -> None:
    """Each where it may stand."""
    assert await offered("wat") == {"watch"}
    assert await offered("app", "r") == {"rotate", "remove"}
    assert await offered("batch", "--con") == {"--concurrency", "--conf"}
    assert await offered("history", "--state", "c") == {"completed", "cancelled"}
    assert await offered("completion", "") >= {"bash", "zsh", "fish"}


async def test_bash_offers_files_where_a_path_stands() -> None:
    """Folders where it is a folder."""
    assert "README.md" in await offered("batch", "READ")
    assert await offered("serve", "--conf", "con") == {"conf"}


@pytest.mark.parametrize(
    ("shell", "begins", "knows"),
    [
        ("zsh", "#compdef run.py", "--concurrency"),
        ("fish", "", "complete -c run.py"),
        ("bash", "", "complete -o bashdefault"),
    ],
)
def test_each_shell_has_its_script(
    shell: str, begins: str, knows: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """For whatever word runs the gateway."""
    assert main(("completion", shell, "--for", "run.py"), {}) == 0
    out = capsys.readouterr().out
    assert out.startswith(begins)
    assert knows in out
    assert re.search(r"\bwebhooks\b", out)
