"""Rows of the matrix with our folder called otherwise: we are loaded first, and no callbacks are put in order."""

from __future__ import annotations

from dataclasses import replace

from tests.webui.beside.row import OTHERWISE, Row
from tests.webui.beside.rows_controlnet import CONTROLNET
from tests.webui.beside.rows_extensions import EXTENSIONS_ROWS

__all__ = ["OTHERWISE_ROWS"]

NAMES = {
    "sd-webui-controlnet, ControlNet",
    "sd-webui-controlnet, ControlNet, hires fix, batch 2",
    "sd-webui-controlnet, T2I-Adapter, hires fix, batch 2",
    "sd-webui-controlnet, its own FaceID",
    "sd-webui-controlnet, its own FaceID, hires fix, batch 2",
    "Regional Prompter, attention mode, together, other divisions",
    "Regional Prompter, latent mode",
    "NegPiP, cond and uncond together",
    "Tiled Diffusion, MultiDiffusion",
    "CADS, Euler",
    "CADS, DDIM, batch 2",
    "Dynamic thresholding, Euler",
    "ADetailer, two faces of a photo",
}
OTHERWISE_ROWS: tuple[Row, ...] = tuple(
    replace(
        row,
        job=", ".join(filter(None, (row.job, "our folder first and called otherwise"))),
        start=OTHERWISE,
        same_as=(row.name,),
    )
    for row in (*EXTENSIONS_ROWS, *CONTROLNET)
    if row.name in NAMES
)
