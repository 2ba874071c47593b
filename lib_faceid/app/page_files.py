"""The page's style, scripts and languages: in a clone where a WebUI looks for them, in a package among its data."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["LANGUAGES", "languages", "page_file", "scripts"]

PACKAGE = Path(__file__).resolve().parents[1]
SCRIPTS = ("ip_adapter_faceid", "faceid_likeness", "faceid_faces", "faceid_changes", "faceid_words")
LANGUAGES = {"de": "de_DE"}
"""As browsers name a language -> its file in `localizations/`, which is the name to choose in the WebUI's settings."""


def page_file(name: str, package: Path = PACKAGE) -> str:
    """Return the text of `style.css`, or of a file in `javascript/` or `localizations/`."""
    inside = package / "data" / "page" / Path(name).name
    return (inside if inside.is_file() else package.parent / name).read_text("utf-8")


def scripts() -> str:
    """Return the JavaScript of the page, all files as one."""
    return "".join(page_file(f"javascript/{name}.js") for name in SCRIPTS)


def languages() -> str:
    """Return JSON: language -> {text: translation}."""
    return json.dumps({code: json.loads(page_file(f"localizations/{name}.json")) for code, name in LANGUAGES.items()})
