"""What the pictures are called, and what the seeded text encoder makes of it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lib_faceid.hosts.diffusers.network_sizes import clip_config
from lib_faceid.hosts.diffusers.tokenizer import write_tokenizer
from lib_faceid.miniature.trained import text_weights

__all__ = ["COLOURS_RGB", "COLOUR_NAMES", "TEMPLATES", "caption", "caption_table", "encode"]

COLOUR_NAMES = ("red", "green", "blue", "yellow", "white")
COLOURS_RGB = ((190, 60, 50), (60, 140, 70), (60, 90, 190), (220, 190, 70), (235, 235, 235))
# Of one person and of two; of photos and of drawings.
TEMPLATES = (
    (
        (
            "a photo of a person, {} background",
            "a person in front of a {} wall",
            "portrait, {} background",
            "{} background",
        ),
        (
            "a drawing of a person, {} background",
            "a drawing of a person in front of a {} wall",
            "drawn portrait, {} background",
            "drawing, {} background",
        ),
    ),
    (
        (
            "a photo of two people, {} background",
            "two people in front of a {} wall",
            "two portraits, {} background",
            "two people, {} background",
        ),
        (
            "a drawing of two people, {} background",
            "a drawing of two people in front of a {} wall",
            "two drawn portraits, {} background",
            "drawing of two people, {} background",
        ),
    ),
)


def caption(colour: int, template: int = 0, people: int = 1, style: int = 0) -> str:
    """Return the words for a photo (style 0) or drawing (1) of one or two people with that background."""
    return TEMPLATES[people - 1][style][template].format(COLOUR_NAMES[colour])


def caption_table() -> Tensor:
    """Return the contexts [1 or 2 people, styles, templates, colours + 1, 77, 768] of all captions.

    The last colour is the empty prompt.
    """
    size = len(TEMPLATES), len(TEMPLATES[0]), len(TEMPLATES[0][0]), len(COLOUR_NAMES) + 1
    texts = [
        caption(colour, template, people + 1, style) if colour < len(COLOUR_NAMES) else ""
        for people, style, template, colour in np.ndindex(size)
    ]
    return encode(texts).unflatten(0, size)


@torch.no_grad()
def encode(texts: Sequence[str]) -> Tensor:
    """Return the context [n, 77, 768] of each text."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    state = {name: tensor.float() for name, tensor in text_weights().items() if "position_ids" not in name}
    config = CLIPTextConfig(**clip_config({name: tuple(tensor.shape) for name, tensor in state.items()}))
    model = CLIPTextModel(config).eval()
    model.load_state_dict(state, strict=False)  # position_ids are a parameter in some versions only
    with tempfile.TemporaryDirectory() as folder:
        write_tokenizer(Path(folder))
        tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    tokens = tokenizer(list(texts), padding="max_length", max_length=77, truncation=True, return_tensors="pt")
    return model(tokens.input_ids).last_hidden_state
