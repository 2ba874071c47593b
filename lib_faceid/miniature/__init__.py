"""Miniatures: small files with random weights in the exact layout of the published ones, written in seconds.

They load wherever the real files load (this package, diffusers, a WebUI), so that everything but the beauty
of the pictures can be shown and tested without a download.
"""

from __future__ import annotations

from lib_faceid.miniature.adapter import FULL, SMALL, ProjectionSizes, published_name, write_adapter
from lib_faceid.miniature.checkpoint import write_checkpoint
from lib_faceid.miniature.clip_vision import write_clip_vision
from lib_faceid.miniature.controlnet import write_controlnet
from lib_faceid.miniature.folder import write_models
from lib_faceid.miniature.photomaker import write_photomaker

__all__ = [
    "FULL",
    "SMALL",
    "ProjectionSizes",
    "published_name",
    "write_adapter",
    "write_checkpoint",
    "write_clip_vision",
    "write_controlnet",
    "write_models",
    "write_photomaker",
]
