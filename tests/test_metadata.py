"""metadata.ini: the WebUI finds our callback under the name that the file orders."""

from __future__ import annotations

import ast
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).parent.parent


def callers(function: str) -> set[str]:
    """The names of the files that call `script_callbacks.<function>`; the WebUI names a callback after that file."""
    return {
        path.name
        for path in [*ROOT.glob("lib_faceid/**/*.py"), *ROOT.glob("scripts/*.py")]
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == function
    }


def test_the_ordered_callback_is_the_registered_one() -> None:
    metadata = ConfigParser()
    metadata.read(ROOT / "metadata.ini", "utf-8")
    (section,) = [name for name in metadata.sections() if name.startswith("callbacks/")]
    (file,) = callers("on_cfg_denoiser")
    assert section == f"callbacks/{metadata['Extension']['Name']}/{file}/cfg_denoiser"
    for name in metadata[section]["After"].split():
        extension, script, category = name.split("/")
        assert extension == extension.lower()
        assert script.endswith(".py")
        assert category == "cfg_denoiser"
