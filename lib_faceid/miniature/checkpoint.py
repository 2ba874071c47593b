"""Miniature checkpoints: every tensor of the published file under its own name, small and random."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lib_faceid.miniature.config import write_config, write_text_folder
from lib_faceid.miniature.sizes import INPAINTING, MINIATURE, Sizes
from lib_faceid.miniature.text import clip_text_tree, open_clip_text_tree
from lib_faceid.miniature.tree import Shape, Tree, flatten
from lib_faceid.miniature.unet import unet_tree
from lib_faceid.miniature.vae import vae_tree
from lib_faceid.miniature.weights import random_weights, write_safetensors

__all__ = ["checkpoint_shapes", "write_checkpoint"]

GAINS = {
    r"diffusion_model\.out\.2\.weight": 3.0,
    r"attn2\.to_[kq]": 1.5,
    r"attn2\.to_out": 2.0,
    r"decoder\.conv_out\.weight": 0.5,
}


def checkpoint_shapes(sizes: Sizes) -> dict[str, Shape]:
    """Return the name and shape of each tensor of a single-file checkpoint."""
    if sizes.open_text is None:
        text: Tree = {"cond_stage_model.transformer": clip_text_tree(sizes.text)}
    else:
        text = {
            "conditioner.embedders.0.transformer": clip_text_tree(sizes.text),
            "conditioner.embedders.1.model": open_clip_text_tree(sizes.open_text),
        }
    tree = {"model.diffusion_model": unet_tree(sizes.unet), "first_stage_model": vae_tree(sizes.vae), **text}
    return flatten(tree)


def write_checkpoint(path: Path, family: str, seed: int = 0, *, inpaint: bool = False) -> Path:
    """Write a `.safetensors` checkpoint of family "sd15" or "sdxl", and return its path.

    inpaint: with the nine input channels of an inpainting checkpoint; the WebUI's `.yaml` says so for SD 1.5 only.
    Beside it come `<name>.yaml`, which a WebUI needs to load it, and the folder `<name>.text` that it names.
    """
    sizes = MINIATURE[family]
    if inpaint:
        sizes = replace(sizes, unet=replace(sizes.unet, inputs=INPAINTING))
    write_safetensors(path, random_weights(checkpoint_shapes(sizes), seed, GAINS))
    text_folder = path.with_suffix(".text")
    write_text_folder(text_folder, sizes.text)
    write_config(path.with_suffix(".yaml"), sizes, text_folder)
    return path
