"""What Forge has to be told about miniatures: it knows the sizes of published models only, and none of its own reading.

For each kind a folder in the form of a diffusers repository without weights. The probe extension names it to Forge.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lib_faceid.miniature.config import write_text_folder
from lib_faceid.miniature.sizes import LATENT, MINIATURE, RGB, Sizes, VAESizes
from lib_faceid.miniature.trained import TRAINED

__all__ = ["FOLDER", "vae_config", "write_json", "write_repos"]

FOLDER = "forge_repos"
UNET = "sizes.json"
SCHEDULER = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
}


def write_repos(folder: Path) -> None:
    """Write one folder for each kind, with the sizes by which Forge is to recognise it."""
    for name, sizes in {**MINIATURE, "trained": TRAINED}.items():
        _write_repo(folder / name, sizes)
        unet = {"model_channels": sizes.unet.channels, "channel_mult": sizes.unet.mult}
        write_json(folder / name / UNET, unet | ({"adm_in_channels": sizes.unet.adm} if sizes.unet.adm else {}))


def _write_repo(folder: Path, sizes: Sizes) -> None:
    texts = {"": (sizes.text, "CLIPTextModel")}
    if sizes.open_text is not None:
        texts["_2"] = sizes.open_text, "CLIPTextModelWithProjection"
    index: dict[str, Any] = {
        "_class_name": "StableDiffusionPipeline",
        "scheduler": ["diffusers", "EulerDiscreteScheduler"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    for suffix, (text, kind) in texts.items():
        index[f"text_encoder{suffix}"] = ["transformers", kind]
        index[f"tokenizer{suffix}"] = ["transformers", "CLIPTokenizer"]
        for part in (f"text_encoder{suffix}", f"tokenizer{suffix}"):
            write_text_folder(folder / part, text)
    write_json(folder / "model_index.json", index)
    write_json(folder / "scheduler" / "scheduler_config.json", {"_class_name": "EulerDiscreteScheduler", **SCHEDULER})
    write_json(folder / "vae" / "config.json", vae_config(sizes.vae, 0.13025 if sizes.open_text else 0.18215))


def vae_config(sizes: VAESizes, scale: float) -> dict[str, Any]:
    levels = len(sizes.mult)
    return {
        "_class_name": "AutoencoderKL",
        "act_fn": "silu",
        "block_out_channels": [sizes.channels * mult for mult in sizes.mult],
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "in_channels": RGB,
        "out_channels": RGB,
        "latent_channels": LATENT,
        "layers_per_block": sizes.blocks_per_level,
        "norm_num_groups": 32,
        "sample_size": 512,
        "scaling_factor": scale,
    }


def write_json(path: Path, values: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, indent=2), encoding="utf-8")
