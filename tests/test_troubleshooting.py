"""The table of messages in docs/TROUBLESHOOTING.md: each of them can still be said by the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
ANYTHING = "…"


def listed() -> list[str]:
    """The beginnings of messages, as it lists them."""
    table = (
        (PROJECT / "docs" / "TROUBLESHOOTING.md")
        .read_text("utf-8")
        .split("<!-- messages:")[1]
        .split("<!-- /messages -->")[0]
    )
    return [line.split(" | ")[0].removeprefix("| ").replace("\\|", "|") for line in table.splitlines()[3:]]


@cache
def sentences() -> tuple[str, ...]:
    """Every text in lib_faceid, with a sign for what is filled in."""
    return tuple(
        text for path in (PROJECT / "lib_faceid").rglob("*.py") for text in _texts(ast.parse(path.read_text("utf-8")))
    )


def _texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(one.value) if isinstance(one, ast.Constant) else ANYTHING for one in node.values)


def is_said(message: str) -> bool:
    pattern = re.compile(".+?".join(map(re.escape, message.split(ANYTHING))), re.IGNORECASE)
    return any(pattern.match(sentence) for sentence in sentences())


@pytest.mark.parametrize("message", listed())
def test_the_message_is_still_there(message: str) -> None:
    assert is_said(message)


def test_a_message_that_nobody_says_is_noticed() -> None:
    assert len(listed()) > 20
    assert not is_said("No FaceID adapter for … was seen")
    assert not is_said("is for …, but the loaded checkpoint is …"), "the beginning counts"
