"""Every command line in README and docs is one that the program takes, with the options that there are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from lib_faceid.commands.cli import main

PROJECT = Path(__file__).resolve().parent.parent
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
OWN = re.compile(
    r"(?:python3? (?:-m lib_faceid|dev\.py(?: --torch \S+)? (?=(?:demo|ui)\b))|^faceid\b)\s*(?P<arguments>[^|;&`]*)"
)


def commands() -> list[tuple[str, str]]:
    """(page, arguments) of each command line of ours: in blocks, and between backticks."""
    found: list[tuple[str, str]] = []
    for page in PAGES:
        text = page.read_text("utf-8").replace("\\\n", " ")
        blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        lines = [line for block in blocks for line in block.splitlines()]
        lines += re.findall(r"`(python[^`\n]*)`", text)
        matches = [match for line in lines if (match := OWN.search(line))]
        found += [(page.name, match["arguments"].strip()) for match in matches]
    return found


@pytest.mark.parametrize(("page", "arguments"), commands())
def test_the_command_is_one(
    page: str, arguments: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Read as the program reads it; nothing is run."""
    monkeypatch.setattr("lib_faceid.commands.cli._run", lambda _options: 0)
    monkeypatch.chdir(tmp_path)
    try:
        code = main(shlex.split(arguments, comments=True))
    except SystemExit as ended:  # --help, --version
        code = ended.code
    assert code == 0, capsys.readouterr().err


def test_there_are_commands() -> None:
    assert len(commands()) >= 15
    assert any(arguments.startswith("--version") for _, arguments in commands()), "the command `faceid`"
