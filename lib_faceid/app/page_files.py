"""The page's style and script: in a clone where a WebUI looks for them, in an installed package among its data."""

from __future__ import annotations

from pathlib import Path

__all__ = ["page_file"]

PACKAGE = Path(__file__).resolve().parents[1]


def page_file(name: str, package: Path = PACKAGE) -> str:
    """Return the text of `style.css`, or of a file in `javascript/`."""
    inside = package / "data" / "page" / Path(name).name
    return (inside if inside.is_file() else package.parent / name).read_text("utf-8")
