"""Rows of the matrix: what the WebUI itself does to attention and to memory."""

from __future__ import annotations

from tests.webui.beside.row import FP8, HIRES, LEFT, PHOTO, STARTS, WIDER, Row

__all__ = ["WEBUI_ROWS"]

OPTIMISERS = {  # what the setting is called here, and in the log
    "sdp - scaled dot product": "sdp",
    "sdp-no-mem - scaled dot product without memory efficient attention": "sdp-no-mem",
    "sub-quadratic": "sub-quadratic",
    "V1 - original v1": "V1",
    "InvokeAI": "InvokeAI",
    "Doggettx": "Doggettx",
    "None": "none",
}
TILED_UNET = {"hypertile_enable_unet": True, "hypertile_max_depth_unet": 3, "hypertile_max_tile_unet": 64}

NO_GPU = "measured on a CPU, where nothing moves"

WEBUI_ROWS = (
    Row("token merging", "0.5", options={"token_merging_ratio": 0.5}),
    Row("token merging", "0.9, 200x136", options={"token_merging_ratio": 0.9}, request={"width": 200, "height": 136}),
    Row(
        "token merging",
        "0.5, img2img",
        options={"token_merging_ratio": 0.5, "token_merging_ratio_img2img": 0.5},
        request=PHOTO,
    ),
    Row(
        "token merging",
        "0.5, a unit's region",
        options={"token_merging_ratio": 0.5},
        request=WIDER,
        unit=LEFT,
        side="left",
    ),
    Row(
        "HyperTile",
        "UNet",
        options={**TILED_UNET, "hypertile_swap_size_unet": 3},
        request={"width": 256, "height": 256, "steps": 2},
    ),
    Row(
        "HyperTile",
        "UNet, 192x320",
        options={**TILED_UNET, "hypertile_max_depth_unet": 0, "hypertile_max_tile_unet": 128},
        request={"width": 192, "height": 320, "steps": 2},
    ),
    Row(
        "HyperTile",
        "UNet, a unit's region",
        options=TILED_UNET,
        request=WIDER,
        unit=LEFT,
        side="left",
    ),
    Row(
        "HyperTile",
        "VAE",
        options={"hypertile_enable_vae": True, "hypertile_max_tile_vae": 64},
        request={"width": 256, "height": 256, "steps": 2},
    ),
    Row("NGMS", "", options={"s_min_uncond": 4.0, "s_min_uncond_all": True}, request={"steps": 6}),
    Row("FP8 weights", "SD 1.5", start=FP8),
    Row("FP8 weights", "SDXL", start=FP8, family="sdxl"),
    *(
        Row(
            "attention optimiser",
            name,
            settings={"cross_attention_optimization": setting},
            says=f"Applying attention optimization: {name}" if name != "none" else "Disabling attention optimization",
        )
        for setting, name in OPTIMISERS.items()
    ),
    *(
        Row(
            f"`{flag}`",
            "hires fix",
            start=flag,
            family="sdxl" if "sdxl" in flag else "sd15",
            request=HIRES,
            note=NO_GPU,
        )
        for flag, start in STARTS.items()
        if start.arguments
    ),
)
