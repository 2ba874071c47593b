"""Rows of the matrix: extensions that reach the UNet's rows or its attention."""

from __future__ import annotations

from tests.webui.beside.asked import CADS, DYNAMIC, FACE, FREEU, NEGPIP, adetailer, regional, tiled
from tests.webui.beside.row import HIRES, LEFT, LONG, PHOTO, WIDER, Row
from tests.webui.beside.rows_controlnet import NET
from tests.webui.beside.rows_regional import REGIONAL, TWO

__all__ = ["EXTENSIONS_ROWS"]

NEGATIVE = {"prompt": "a person wearing a (red hat:-1.5), smiling", "negative_prompt": "ugly"}
WIDE = {"width": 192}
MIXTURE = "Mixture of Diffusers"
EVERYWHERE = (0.0, 0.0, 1.0, 1.0)


NEGPIPS = (
    Row("NegPiP", "cond and uncond together", NEGPIP, request=NEGATIVE),
    Row(
        "NegPiP",
        "split",
        NEGPIP,
        options={"batch_cond_uncond": False},
        request=NEGATIVE,
        same_as=("NegPiP, cond and uncond together",),
    ),
    Row("NegPiP", "apart, by a long negative prompt", NEGPIP, request={**NEGATIVE, "negative_prompt": LONG}),
    Row("NegPiP", "DDIM", NEGPIP, request={**NEGATIVE, "sampler_name": "DDIM"}),
    Row("NegPiP", "batch 2", NEGPIP, request={**NEGATIVE, "batch_size": 2}),
    Row("NegPiP", "hires fix", NEGPIP, request={**NEGATIVE, **HIRES}),
    Row("NegPiP", "SDXL", NEGPIP, request=NEGATIVE, family="sdxl"),
)
TILES = (
    Row("Tiled Diffusion", "MultiDiffusion", tiled(), request=WIDE),
    Row("Tiled Diffusion", "MultiDiffusion, DDIM", tiled(), request={**WIDE, "sampler_name": "DDIM"}),
    Row("Tiled Diffusion", "MultiDiffusion, batch 2", tiled(), request={**WIDE, "batch_size": 2}),
    Row("Tiled Diffusion", "MultiDiffusion, apart", tiled(), request={**WIDE, "negative_prompt": LONG}),
    Row("Tiled Diffusion", "MultiDiffusion, AND", tiled(), request={**WIDE, "prompt": "a person AND a hat"}),
    Row("Tiled Diffusion", "MultiDiffusion, img2img", tiled(), request=PHOTO),
    Row("Tiled Diffusion", "MultiDiffusion, a unit's region", tiled(overlap=4), request=WIDER, unit=LEFT, side="left"),
    Row("Tiled Diffusion", "MultiDiffusion, SDXL", tiled(), request=WIDE, family="sdxl"),
    Row("Tiled Diffusion", "MultiDiffusion, IdentityNet", tiled(), request=WIDE, family="instantid", partner=NET),
    Row("Tiled Diffusion", MIXTURE, tiled(MIXTURE), request=WIDE),
    Row("Tiled Diffusion", f"{MIXTURE}, batch 2", tiled(MIXTURE), request={**WIDE, "batch_size": 2}),
    Row(
        "Tiled Diffusion",
        f"{MIXTURE}, a unit's region",
        tiled(MIXTURE, overlap=4),
        request=WIDER,
        unit=LEFT,
        side="left",
    ),
    Row("Tiled Diffusion", f"{MIXTURE}, SDXL", tiled(MIXTURE), request=WIDE, family="sdxl"),
    Row("Tiled Diffusion", "region control over a background", tiled(box=(0.0, 0.0, 0.5, 1.0)), request=WIDE),
    Row(
        "Tiled Diffusion",
        "region control over a background, Mixture",
        tiled(MIXTURE, box=(0.0, 0.0, 0.5, 1.0)),
        request=WIDE,
    ),
    Row("Tiled Diffusion", "region control alone", tiled(box=EVERYWHERE, background=False), request=WIDE),
    Row(
        "Tiled Diffusion",
        "region control alone, a unit's region",
        tiled(box=EVERYWHERE, background=False),
        request=WIDER,
        unit=LEFT,
        side="left",
        times=2,  # drawn in one piece: self-attention carries some of it across
    ),
    Row(
        "Tiled Diffusion",
        "region control over a background, a unit's region",
        tiled(box=(0.0, 0.0, 0.5, 1.0), overlap=4),
        request=WIDER,
        unit=LEFT,
        side="left",
    ),
)
OTHERS = (
    Row("CADS", "Euler", CADS),
    Row("CADS", "Euler a, 6 steps", CADS, request={"steps": 6, "sampler_name": "Euler a"}),
    Row("CADS", "DDIM, batch 2", CADS, request={"batch_size": 2, "sampler_name": "DDIM"}),
    Row("CADS", "SDXL", CADS, family="sdxl"),
    Row("Dynamic thresholding", "Euler", DYNAMIC, request={"cfg_scale": 15}),
    Row(
        "Dynamic thresholding",
        "AND, batch 2",
        DYNAMIC,
        request={"cfg_scale": 15, "prompt": "a person AND a hat", "batch_size": 2},
    ),
    Row(
        "Dynamic thresholding",
        "UniPC",
        DYNAMIC,
        request={"cfg_scale": 15, "sampler_name": "UniPC"},
        fails="CustomVanillaSDSampler",
        note="fails by itself, with or without us",
    ),
    Row("FreeU", "Euler", FREEU, request={"steps": 2}, family="wide"),
    Row("FreeU", "hires fix", FREEU, request={**HIRES, "steps": 2, "width": 64, "height": 64}, family="wide"),
    Row("ADetailer", "two faces of a photo", adetailer(FACE, alone=True), request=PHOTO),
    Row(
        "ADetailer",
        "two detectors",
        adetailer(FACE, {**FACE, "ad_model": "mediapipe_face_mesh"}, alone=True),
        request=PHOTO,
    ),
    Row("ADetailer", "two images", adetailer(FACE, alone=True), request={**PHOTO, "n_iter": 2}),
    Row(
        "Regional Prompter + NegPiP",
        "",
        {**regional(), **NEGPIP},
        request={**TWO, "prompt": NEGATIVE["prompt"] + " BREAK a hat"},
    ),
    Row(
        "Regional Prompter + NegPiP",
        "latent mode",
        {**regional("Latent"), **NEGPIP},
        request={**TWO, "prompt": NEGATIVE["prompt"] + " BREAK a hat"},
    ),
    Row("Regional Prompter + Tiled Diffusion", "", {**regional(), **tiled()}, request={**TWO, **WIDE}),
    Row(
        "CADS + dynamic thresholding + NegPiP + Tiled Diffusion",
        "",
        {**CADS, **DYNAMIC, **NEGPIP, **tiled()},
        request={**NEGATIVE, **WIDE, "cfg_scale": 15},
    ),
    Row("ADetailer + NegPiP", "", {**adetailer(FACE, alone=True), **NEGPIP}, request={**PHOTO, **NEGATIVE}),
)
EXTENSIONS_ROWS = (*REGIONAL, *NEGPIPS, *TILES, *OTHERS)
