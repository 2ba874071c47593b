"""What is written into the pictures of people that the WebUI saves, besides its own metadata."""

from __future__ import annotations

import re
from typing import Any

from lib_faceid.hosts.webui.settings import setting
from lib_faceid.pictures.provenance import XMP, XMP_KEY

__all__ = ["mark_picture"]

_DRAWN = re.compile(r"\bFaceID (?:tag )?\d+: ")


def mark_picture(params: Any) -> None:
    """Have a PNG say that a model made it, where a person of ours is on it and the settings say so."""
    metadata = params.pnginfo
    if (
        setting("faceid_mark_pictures")
        and isinstance(metadata, dict)
        and _DRAWN.search(str(metadata.get("parameters")))
    ):
        metadata.setdefault(XMP_KEY, XMP)
