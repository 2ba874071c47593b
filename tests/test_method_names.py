"""Outside a method's folder no code and no message names the method: sentences are made of what methods declare."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lib_faceid.methods.registry import METHODS, variants

ROOT = Path(__file__).parent.parent
OWN = tuple(f"lib_faceid/methods/{method.id}/" for method in METHODS)
FILES = [path for folder in ("lib_faceid", "scripts") for path in sorted((ROOT / folder).rglob("*.py"))]
# "FaceID" alone is the product's name too: the package, its title, the infotext's key, routes, settings, FaceIDError,
# the folder models/faceid. As the method's name it stands beside one of these words, or in a label.
PRODUCT = re.compile(r"IP-Adapter FaceID|ip[-_]adapter[-_]faceid(?!_|-)|FaceID")
WORDS = re.compile(
    "|".join(
        [
            r"\bPlus\b", r"\bPortrait\b", r"^portrait$", r"\bunnorm\b", r"\bplusv2\b", r"IP-Adapter", r"ip-adapter",
            *(re.escape(one.label) for one in variants() if " " in one.label),
            *(rf"\b{one.id}\b" for one in variants() if "_" in one.id and one.id != "ip_adapter"),
        ]
    )
)  # fmt: skip
ALLOWED = {  # file -> why it names a method
    "lib_faceid/evaluation/protocols.py": "a row of a paper's table, as it stands there",
    "lib_faceid/faces/face.py": "advice for drawings: the published file that is made for them",
    "lib_faceid/faces/report.py": "the same advice",
    "lib_faceid/hosts/diffusers/single_file.py": "a kind of file that is no checkpoint, refused by name",
    "lib_faceid/methods/foreign.py": "other programs' models of the same names, refused by name",
    "lib_faceid/methods/loading.py": "what such files are called, in the sentence that refuses another",
    "lib_faceid/miniature/adapter.py": "random files in the published layouts, under the published names",
    "lib_faceid/miniature/folder.py": "the same",
    "lib_faceid/miniature/plus.py": "files in the published layouts, under their names",
    "lib_faceid/miniature/portrait.py": "a file in a published layout, under its name",
    "lib_faceid/models/image_encoders.py": "the repository that publishes the encoders",
}


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Give the strings of a module that are no docstrings, and its own names, with their lines."""
    documents = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
            yield node.lineno, node.value
        elif isinstance(node, ast.Name):
            yield node.lineno, node.id
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.lineno, node.name


def named(source: str) -> list[tuple[int, str]]:
    """The lines of a module that name a method, with what they say."""
    return [(at, text) for at, text in texts(ast.parse(source)) if WORDS.search(PRODUCT.sub("", text))]


def test_nothing_outside_a_method_names_it() -> None:
    found = {
        f"{name}:{at}": text
        for path in FILES
        if not (name := path.relative_to(ROOT).as_posix()).startswith(OWN) and name not in ALLOWED
        for at, text in named(path.read_text("utf-8"))
    }
    assert not found, f"say it with what methods declare (label, encoders, settings): {found}"


@pytest.mark.parametrize("name", ALLOWED)
def test_no_exception_without_need(name: str) -> None:
    assert named((ROOT / name).read_text("utf-8")), f"{name} names no method any more: take it off the list"


@pytest.mark.parametrize(
    ("source", "is_named"),
    [
        ("raise ValueError('not for the Plus variants')", True),
        ("x = variant.id == 'portrait_unnorm'", True),
        ("print('IP-Adapter reads images')", True),
        ("title = 'IP-Adapter FaceID'", False),
        ("raise FaceIDError('FaceID 0 was not applied')", False),
        ("from lib_faceid.errors import FaceIDError", False),
        ("print('a plus')", False),
        ("x = variant.id == 'portrait'", True),
        ("prompt = 'portrait, soft light'", False),
    ],
)
def test_a_name_is_seen(source: str, is_named: bool) -> None:
    assert bool(named(source)) == is_named
