"""For tests only: gives the IP-Adapter that is built into Forge what CLIP would make of an image, without a CLIP."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

WIDTH = 1024
"""What CLIP ViT-H makes of an image, as the plain IP-Adapter reads it."""


def offer() -> None:
    """Add a preprocessor to those of its ControlNet units."""
    import torch
    from modules_forge.shared import add_supported_preprocessor
    from modules_forge.supported_preprocessor import Preprocessor

    class PlayedImage(Preprocessor):
        def __init__(self) -> None:
            super().__init__()
            self.name = "played image"

        def __call__(self, *_: Any, **__: Any) -> dict[str, Any]:
            image = torch.randn(1, 1, WIDTH, generator=torch.Generator().manual_seed(3))
            embeds = torch.cat([image, torch.zeros_like(image)])
            return {"image": None, "noise": 0.0, "embeds": embeds, "unfold_batch": False}

    add_supported_preprocessor(PlayedImage())


if find_spec("modules_forge") is not None:
    offer()
