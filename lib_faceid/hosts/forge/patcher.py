"""The patcher of a pass: what Forge knows of the UNet in it, besides the UNet itself."""

from __future__ import annotations

from typing import Any

from modules import shared

__all__ = ["patcher", "put_patcher"]


def patcher() -> Any:
    """Return the one that the pass is drawn with. Every pass has one of its own, made of the checkpoint's."""
    return shared.sd_model.forge_objects.unet


def put_patcher(changed: Any) -> None:
    """Have the pass drawn with another one; a copy, as it may be the checkpoint's own."""
    shared.sd_model.forge_objects.unet = changed
