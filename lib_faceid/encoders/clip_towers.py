"""CLIP's two towers, of text and of pictures, from a folder in transformers' layout: how well they match.

Which CLIP it is does not matter here, only that both towers are one model's. It is looked for in `models/clip` and
`models/CLIP` and never downloaded.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib_faceid.encoders.clip_vision import preprocess
from lib_faceid.errors import FileError, MissingModelError, MissingPackageError
from lib_faceid.models.folders import Roots
from lib_faceid.models.listing import children, is_file

__all__ = ["ClipTowers", "find_clip_towers", "load_clip_towers"]

FOLDERS = ("clip", "CLIP")
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
TOKENIZER = ("vocab.json", "merges.txt")


class ClipTowers:
    """One CLIP with both towers, on the CPU in float32."""

    def __init__(self, model: Any, tokenizer: Any, name: str) -> None:
        self._model, self._tokenizer = model, tokenizer
        self._side_px = int(model.config.vision_config.image_size)
        self._most_tokens = int(model.config.text_config.max_position_embeddings)
        self.name = name
        """The folder it came from."""

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Return unit vectors of texts, [n, projection]; what is longer than its context is cut."""
        tokens = self._tokenizer(
            list(texts), padding="max_length", max_length=self._most_tokens, truncation=True, return_tensors="pt"
        )
        with torch.no_grad():
            hidden = self._model.text_model(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask)
            return torch.nn.functional.normalize(self._model.text_projection(hidden.pooler_output), dim=-1)

    def pictures(self, pictures: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Return unit vectors of pictures (uint8 RGB [H, W, 3]), [n, projection]: of the square in their middle."""
        with torch.no_grad():
            pixels = torch.stack([preprocess(picture, self._side_px) for picture in pictures])
            hidden = self._model.vision_model(pixel_values=pixels)
            return torch.nn.functional.normalize(self._model.visual_projection(hidden.pooler_output), dim=-1)

    def match(self, text: str, picture: NDArray[np.uint8]) -> float:
        """Return the cosine of a text and a picture; published tables give 100 times that."""
        return float(self.texts([text])[0] @ self.pictures([picture])[0])


def find_clip_towers(roots: Roots) -> Path | None:
    """Return the first folder that holds a CLIP with both towers; None where none does."""
    folders = [models / name for models in roots.all_models for name in FOLDERS]
    places = [place for folder in folders for place in (folder, *children(folder))]
    return next((place for place in places if _is_clip(place)), None)


def load_clip_towers(folder: Path) -> ClipTowers:
    """Return the towers in a folder. Raises MissingModelError, FileError, MissingPackageError."""
    if not _is_clip(folder):
        raise MissingModelError(
            f"{folder} holds no CLIP with both towers: config.json (model_type clip), {' or '.join(WEIGHTS)}, "
            f"{' and '.join(TOKENIZER)} were expected, as transformers saves them."
        )
    try:
        from transformers import CLIPModel, CLIPTokenizer
    except (ImportError, RuntimeError) as error:  # its lazy imports raise the latter
        command = f'"{sys.executable}" -m pip install transformers'
        raise MissingPackageError(f"CLIP's towers need transformers ({error}). Run: {command}") from error
    try:
        model: Any = CLIPModel.from_pretrained(str(folder), local_files_only=True)
        tokenizer = CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise FileError(f"{folder.name} is no CLIP that can be loaded ({str(error)[:200]}). Get it again.") from error
    return ClipTowers(model.float().eval(), tokenizer, folder.name)


def _is_clip(folder: Path) -> bool:
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    has_weights = any(is_file(folder / name) for name in WEIGHTS)
    has_words = all(is_file(folder / name) for name in TOKENIZER)
    return isinstance(config, dict) and config.get("model_type") == "clip" and has_weights and has_words  # pyright: ignore[reportUnknownMemberType]
