"""Every text that the page shows: of its components in both purposes, and the sentences in the code that makes it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lib_faceid.ui.words import NAMED, WORDS, field_words

ROOT = Path(__file__).resolve().parents[1] / "lib_faceid"
CODE = [
    *(ROOT / "ui").glob("*.py"),
    *(ROOT / "app").glob("own_page*.py"),
    *(ROOT / "app" / name for name in ("hints.py", "live.py", "picture_files.py")),
]
SENTENCE = re.compile(r"[A-Z'{][^<\n]* [^<\n]*[.:…](?:\{\})?", re.DOTALL)
MADE = re.compile(r"[^\W\d]")  # a text without any letter is the same in all languages
BUTTONS = ("Button", "UploadButton")


def of_components(page: Any) -> set[str]:
    """Return what the components of gradio's blocks show before anybody does anything."""
    found: set[str] = set()
    for block in page.blocks.values():
        config = block.get_config() if hasattr(block, "get_config") else {}
        found.update(str(config.get(name) or "") for name in ("label", "info", "placeholder"))
        if type(block).__name__ in BUTTONS:
            found.add(str(config.get("value") or ""))
        found.update(config.get("headers") or [])
        for choice in config.get("choices") or []:
            found.add(choice[0] if isinstance(choice, (tuple, list)) else choice)
    return {text for text in found if MADE.search(text)}


def of_purposes() -> set[str]:
    """Return what is said instead where a unit is for an image."""
    fields = [text for name in NAMED for text in field_words(name, "image")]
    return {*fields, *(text for words in WORDS.values() for text in vars(words).values())}


def sentences() -> set[str]:
    """Return the sentences in the code: constants, and with `{}` for what is put in."""
    found = (text.strip() for path in CODE for text in _strings(ast.parse(path.read_text("utf-8"))))
    return {text for text in found if SENTENCE.fullmatch(text) and MADE.search(text.replace("{}", ""))}


def photo_hints() -> set[str]:
    """Return what the page says of photos: the report's reasons, as sentences."""
    found = _strings(ast.parse((ROOT / "faces/report.py").read_text("utf-8")))
    return {
        f"{one[:1].upper()}{one[1:]}." for one in found if re.search(r"(: use |: turn |: for |: the identity)", one)
    }


def _strings(tree: ast.AST) -> Iterator[str]:
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    parts |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # what documents something
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield node.value
