"""A whole models folder of miniatures: the trained one, and random ones in every published layout."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from lib_faceid.encoders.clip_vision import load_clip_vision
from lib_faceid.errors import FileError
from lib_faceid.faces.crops import clip_crop
from lib_faceid.miniature.adapter import published_name, write_adapter
from lib_faceid.miniature.checkpoint import write_checkpoint
from lib_faceid.miniature.clip_vision import write_clip_vision
from lib_faceid.miniature.plus import TRAINED_CLIP_NAME, TRAINED_PLUS_NAME, write_trained_clip, write_trained_plus
from lib_faceid.miniature.portrait import TRAINED_PORTRAIT_NAME, write_trained_portrait
from lib_faceid.miniature.trained import (
    STRANGER,
    STRANGER_NAME,
    STRANGER_PHOTO,
    STRANGER_POINTS,
    TRAINED_ADAPTER,
    TRAINED_NAME,
    write_trained_checkpoint,
)
from lib_faceid.models.catalogue import entry
from lib_faceid.models.image_encoders import IMAGE_ENCODERS
from lib_faceid.pictures.photo import read_photo
from lib_faceid.references.identity import Identity

__all__ = ["write_models", "write_trained_models"]

OF_PLUS = "clip_vit_h"

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
    for encoder in {one.id for one in IMAGE_ENCODERS.values() if one.projection} - {
        OF_PLUS
    }:  # the trained one is there
        yield write_clip_vision(folder / "clip_vision" / entry(encoder).file_name, encoder)


def write_trained_models(folder: Path) -> Iterator[Path]:
    """Put the miniature where a WebUI has its models, with somebody to draw; give the path of each file.

    What is there already stays as it is.
    """
    clip = folder / "clip_vision" / TRAINED_CLIP_NAME
    files: dict[Path, Callable[[Path], object]] = {
        folder / "Stable-diffusion" / f"{TRAINED_NAME}.safetensors": write_trained_checkpoint,
        folder / "faceid" / TRAINED_ADAPTER.name: lambda path: shutil.copyfile(TRAINED_ADAPTER, path),
        folder / "faceid" / TRAINED_PLUS_NAME: write_trained_plus,
        clip: write_trained_clip,
        folder / "faceid" / "faces" / f"{STRANGER_NAME}.safetensors": lambda path: _stranger(clip).save(path),
    }
    for path, write in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file():
            write(path)
        yield path


def _stranger(clip: Path) -> Identity:
    """Return the shipped person with what the image encoder in a file sees of the shipped photo."""
    encoder = load_clip_vision(clip)
    crop = clip_crop(read_photo(STRANGER_PHOTO), np.array(STRANGER_POINTS))
    saved = Identity.load(STRANGER)
    return Identity(saved.id_embeddings, encoder.encode([crop]), encoder.blank(), saved.recogniser)
