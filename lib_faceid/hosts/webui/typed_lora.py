"""A FaceID LoRA that the user typed into the prompt: it wins, as it is never applied twice."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["typed_lora"]


def typed_lora(hint: str = "faceid") -> Any | None:
    """Return the first of that name among the networks that the built-in Lora extension has for the prompt, or None."""
    loaded = getattr(sys.modules.get("networks"), "loaded_networks", ())
    return next((network for network in loaded if hint in network.name.lower()), None)
