"""A FaceID LoRA that the user typed into the prompt: it wins, as it is never applied twice."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["typed_lora"]


def typed_lora() -> Any | None:
    """Return the first one among the networks that the built-in Lora extension has for the prompt; None for none."""
    loaded = getattr(sys.modules.get("networks"), "loaded_networks", ())
    return next((network for network in loaded if "faceid" in network.name.lower()), None)
