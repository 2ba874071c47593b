"""The pictures of a WebUI job when it is over."""

from __future__ import annotations

from typing import Any

__all__ = ["pictures_of"]


def pictures_of(processed: Any) -> list[tuple[Any, str]]:
    """Return the job's pictures with their metadata: no grid, and of an inpainted one no mask."""
    first = processed.index_of_first_image
    images, texts = processed.images[first:], processed.infotexts[first:]
    each = max(len(images) // len(texts), 1) if texts else 1
    return list(zip(images[::each], texts, strict=False))
