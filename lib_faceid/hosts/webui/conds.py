"""The WebUI's conditioning: a tensor for SD 1.5, and for SDXL a dict with one in it."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor

__all__ = ["context_of", "with_context"]


def context_of(cond: Any) -> Tensor:
    """Return what the cross-attentions look at."""
    return cond["crossattn"] if isinstance(cond, dict) else cond


def with_context(cond: Any, context: Tensor) -> Any:
    """Return the conditioning with another context in it; the host's own is left alone."""
    if not isinstance(cond, dict):
        return context
    changed = copy.copy(cond)
    changed["crossattn"] = context
    return changed
