"""A whole models folder of miniatures: the trained one, and random ones in every published layout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lib_faceid.errors import FileError
from lib_faceid.miniature.adapter import published_name, write_adapter
from lib_faceid.miniature.checkpoint import write_checkpoint
from lib_faceid.miniature.clip_vision import write_clip_vision
from lib_faceid.miniature.portrait import TRAINED_PORTRAIT_NAME, write_trained_portrait
from lib_faceid.miniature.trained import write_trained_models
from lib_faceid.models.catalogue import entry
from lib_faceid.models.image_encoders import IMAGE_ENCODERS

__all__ = ["write_models"]

_PUBLISHED = {
    "sd15": ("faceid", "plus", "plusv2", "portrait"),
    "sdxl": ("faceid", "plusv2", "portrait", "portrait_unnorm"),
}


def write_models(folder: Path) -> Iterator[Path]:
    """Write checkpoints, every published adapter and the image encoders where a WebUI expects them; give each path.

    Raises FileError for a folder that holds anything but saved people: beside real models, miniatures would be taken
    for real ones.
    """
    others = [path for path in folder.rglob("*") if path.is_file() and path.parent != folder / "faceid" / "faces"]
    if others:
        raise FileError(f"{folder} is not empty ({others[0]}). Miniatures go into a folder of their own.")
    yield from write_trained_models(folder)
    yield write_trained_portrait(folder / "faceid" / TRAINED_PORTRAIT_NAME)
    for family, variants in _PUBLISHED.items():
        yield write_checkpoint(folder / "Stable-diffusion" / f"miniature_{family}.safetensors", family)
        for variant in variants:
            yield write_adapter(folder / "faceid" / f"{published_name(variant, family)}.bin", variant, family)
    for encoder in IMAGE_ENCODERS:
        yield write_clip_vision(folder / "clip_vision" / entry(encoder).file_name, encoder)
