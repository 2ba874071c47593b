"""Files of other kinds of models, recognised so that each can be refused by its right name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["FAMILIES", "Family", "family_of"]

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Family:
    """A kind of model file that is no adapter."""

    name: str
    matches: Callable[[Shapes], bool]
    """Tells it from all the other kinds below it in the table, by tensor names and shapes of the whole file."""
    remedy: str = "Use an ip-adapter file for SD 1.5 or SDXL."


def _has(*patterns: str) -> Callable[[Shapes], bool]:
    """Match a file that has a tensor name for each of the regular expressions."""
    return lambda shapes: all(any(re.search(pattern, key) for key in shapes) for pattern in patterns)


def _has_shape(key: str, axis: int, size: int) -> Callable[[Shapes], bool]:
    return lambda shapes: shapes.get(key, ())[axis : axis + 1] == (size,)


_CHECKPOINT = "Choose it as the Stable Diffusion checkpoint, and an adapter here."
_CONTROLNET = "Use it in the ControlNet extension."
_SD_ONLY = "Adapters exist for SD 1.5 and SDXL only."
_LORA = (
    r"(^|\.)(lora_(up|down|A|B)|lora\.(up|down)|hada_w\d_[ab]|lokr_w\d(_[ab])?)(\.|$)|^(lora_(unet|te)|unet\..*_lora\.)"
)

# Most specific first: the first match names the file.
FAMILIES: tuple[Family, ...] = (
    Family("PhotoMaker", _has(r"^id_encoder\.", r"^lora_weights\.")),
    Family("PuLID", _has(r"(mapping_patch_\d|mapping_\d|pulid_ca)\.")),
    Family("a LoRA", _has(_LORA), "Use it in the prompt: <lora:name:0.6>."),
    Family("a Flux or SD 3 checkpoint", _has(r"(^|\.)(double_blocks|joint_blocks)\."), _SD_ONLY),
    Family("a Stable Diffusion checkpoint", _has(r"^model\.diffusion_model\."), _CHECKPOINT),
    Family("a ControlNet", _has(r"^(control_model\.|controlnet_|input_hint_block\.)"), _CONTROLNET),
    Family(
        "a bare UNet",
        _has(r"^((unet\.)?down_blocks\.\d+\.resnets|(diffusion_model\.)?input_blocks\.\d+)\."),
        _CHECKPOINT,
    ),
    Family("a VAE", _has(r"^(first_stage_model\.|decoder\.(conv_in|up|mid)\b)"), "Choose it as the SD VAE."),
    Family(
        "a CLIP image encoder",
        _has(r"^(vision_model|visual)\."),
        "It is found by itself in models/clip_vision.",
    ),
    Family("a textual inversion embedding", _has(r"^(emb_params|string_to_param\..*|clip_[lg])$")),
    Family("Kolors IP-Adapter", _has_shape("image_proj.layers.0.0.to_out.weight", 0, 2048)),
    Family("Kolors FaceID Plus", _has_shape("image_proj.perceiver_resampler.layers.0.0.to_out.weight", 0, 4096)),
)


def family_of(shapes: Shapes) -> Family | None:
    """Return what the file is, if it is one of the known other kinds."""
    return next((family for family in FAMILIES if family.matches(shapes)), None)
