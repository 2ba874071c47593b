"""The trained miniature: its sizes, its seeded text encoder, and the whole checkpoint made of the shipped parts.

Two parts are trained (`unet.safetensors`, `vae.safetensors`, with an adapter beside them). The text encoder's table
of tokens alone would be 76 MB, and a random one tells five captions apart as well as any: it is made from its seed,
and the UNet was trained on what it says.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from lib_faceid.miniature.adapter import published_name
from lib_faceid.miniature.config import write_config, write_text_folder
from lib_faceid.miniature.sizes import Sizes, TextSizes, UNetSizes, VAESizes
from lib_faceid.miniature.text import clip_text_tree
from lib_faceid.miniature.tree import flatten
from lib_faceid.miniature.weights import random_weights, write_safetensors

__all__ = [
    "LORA_RANK",
    "MEASURED",
    "RECOGNISER",
    "STRANGER",
    "STRANGER_NAME",
    "STRANGER_PHOTO",
    "STRANGER_POINTS",
    "TRAINED",
    "TRAINED_ADAPTER",
    "TRAINED_NAME",
    "TRAINED_NOTE",
    "shipped_mb",
    "text_weights",
    "write_trained_checkpoint",
]

TRAINED = Sizes(
    UNetSizes(64, (1, 1, 1, 1), (1, 1, 1, 0), middle_depth=1, context=768, linear_projection=False),
    VAESizes(64, (1, 1, 2, 1), 1),
    TextSizes(768, 768, 1),
)
LORA_RANK = 16
TRAINED_NAME = "miniature"
DATA = Path(__file__).parents[1] / "data"
SHIPPED = DATA / TRAINED_NAME
TRAINED_ADAPTER = SHIPPED / f"{published_name('faceid', 'sd15')}_{TRAINED_NAME}.safetensors"
"""The adapter that ships with the project, for this checkpoint alone."""
STRANGER_PHOTO = SHIPPED / "robin.jpg"
"""A photo of somebody whom its training never saw, and who does not exist: a face blended of several."""
STRANGER_NAME = "robin"
"""What that person is called in the library."""
STRANGER_POINTS = ((98.4, 118.5), (157.9, 122.8), (127.4, 156.3), (102.2, 191.6), (146.0, 195.8))
"""Where the detector sees eyes, nose and corners of the mouth in that photo, in pixels."""
STRANGER = SHIPPED / "robin.identity.safetensors"
"""The same person as the miniature's own recogniser saw that photo."""
MEASURED = SHIPPED / "likeness.json"
"""What was measured when it was trained, for machines without face models: likeness by weight."""
RECOGNISER = "w600k_mbf"
"""On whose embeddings its adapters were trained: ArcFace MobileFaceNet, of InsightFace's small packs."""
TEXT_SEED = 0
TEXT = "cond_stage_model.transformer."
PARTS = {"model.diffusion_model.": "unet.safetensors", "first_stage_model.": "vae.safetensors"}
TRAINED_NOTE = (
    "A miniature for tests and demos of sd-webui-faceid: draws faces on five background colours. Its adapter "
    "was trained on embeddings of a non-commercial face recogniser. See MODEL_CARD.md."
)


def shipped_mb() -> int:
    """Return the size of what ships with the project, in megabytes (10^6 bytes)."""
    return round(sum(path.stat().st_size for path in SHIPPED.iterdir()) / 1e6)


def text_weights() -> dict[str, torch.Tensor]:
    """Return the float16 tensors of the text encoder, as `transformers.CLIPTextModel` names them."""
    shapes = flatten(clip_text_tree(TRAINED.text), TEXT)
    return {name.removeprefix(TEXT): tensor for name, tensor in random_weights(shapes, TEXT_SEED).items()}


def write_trained_checkpoint(path: Path, parts: Path = SHIPPED) -> Path:
    """Write the `.safetensors` checkpoint made of the files in the folder `parts`, and return its path.

    Beside it come `<name>.yaml`, which a WebUI needs to load it, and the folder `<name>.text` that it names.
    """
    tensors = {TEXT + name: tensor for name, tensor in text_weights().items()}
    for prefix, file in PARTS.items():
        tensors |= {prefix + name: tensor for name, tensor in load_file(parts / file).items()}
    write_safetensors(path, tensors, TRAINED_NOTE)
    text_folder = path.with_suffix(".text")
    write_text_folder(text_folder, TRAINED.text)
    write_config(path.with_suffix(".yaml"), TRAINED, text_folder)
    return path
