"""How each neighbour is asked by API to act: the arguments of its script, read from its code and tried one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = [
    "CADS",
    "DYNAMIC",
    "EXTENSIONS",
    "FACE",
    "FREEU",
    "NEGPIP",
    "Asked",
    "Named",
    "adetailer",
    "controlnet",
    "regional",
    "tiled",
]

Asked = dict[str, dict[str, Any]]
"""What a job says in `alwayson_scripts`, by the title of the script."""

EXTENSIONS = {  # the script's title, and the folder that its extension is cloned into
    "ADetailer": "adetailer",
    "CADS": "sd-webui-cads",
    "ControlNet": "sd-webui-controlnet",
    "Dynamic Thresholding (CFG Scale Fix)": "sd-dynamic-thresholding",
    "FreeU": "sd-webui-freeu",
    "NegPiP": "sd-webui-negpip",
    "Regional Prompter": "sd-webui-regional-prompter",
    "Tiled Diffusion": "multidiffusion-upscaler-for-automatic1111",
}


class Named(str):
    """A picture that the test puts in here, by its name: `pictures.py` makes it."""

    __slots__ = ()


NEGPIP: Asked = {"NegPiP": {"args": [True]}}
FREEU: Asked = {
    "FreeU": {"args": [{"enable": True, "stage_infos": [{"backbone_factor": 1.4, "skip_factor": 0.5}] * 3}]}
}
CADS: Asked = {"CADS": {"args": [True, 0.6, 0.9, 0.25, 1.0, True, False]}}
DYNAMIC: Asked = {
    "Dynamic Thresholding (CFG Scale Fix)": {
        "args": [True, 7.0, 99.0, "Constant", 0.0, "Constant", 0.0, 4.0, True, "MEAN", "AD", 1.0]
    }
}
FACE = {"ad_model": "mediapipe_face_full", "ad_inpaint_only_masked_padding": 16, "ad_denoising_strength": 0.6}


def regional(mode: str = "Attention", *, tab: str = "Matrix", base: bool = False) -> Asked:
    """Two columns beside each other, divided by BREAK; tab "Prompt" finds its regions by words."""
    layout = [tab, "Columns", "Mask", "Prompt", "1,1", "0.2", base, False, False]
    return {"Regional Prompter": {"args": [True, False, *layout, mode, [], "0", "0", "0.4", None, "0", "0", False]}}


def tiled(
    method: str = "MultiDiffusion",
    *,
    box: Sequence[float] = (),
    background: bool = True,
    overlap: int = 8,
) -> Asked:
    """Tiles 16 latents wide; with a box (x, y, width, height in fractions) region control draws what is in it."""
    tiles = [True, method, False, False, 512, 512, 16, 16, overlap, 4, "None", 2.0, False, 10, 1, 1, 64, False]
    drawn = [True, *box, "a red hat", "blurry", "Background", 0.2, 7]
    nothing = [False, 0.4, 0.4, 0.2, 0.2, "", "", "Background", 0.2, -1]
    boxes = [drawn if box and at == 0 else nothing for at in range(8)]
    control = [bool(box), background, False]
    return {"Tiled Diffusion": {"args": [*tiles, *control, *(value for one in boxes for value in one)]}}


def adetailer(*tabs: dict[str, Any], alone: bool = False) -> Asked:
    """Its passes over the faces; `alone` skips the img2img before them, so that it sees the faces of a photo."""
    return {"ADetailer": {"args": [True, alone, *tabs]}}


def controlnet(*units: dict[str, Any]) -> Asked:
    """Its units, told apart by their model."""
    common = {"enabled": True, "module": "none", "weight": 1.0}
    return {"ControlNet": {"args": [{**common, **unit} for unit in units]}}
