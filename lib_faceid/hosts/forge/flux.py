"""Which of the networks that Forge can load as FLUX.1 an image can be drawn with."""

from __future__ import annotations

from importlib.util import find_spec
from typing import cast

from torch import nn

from lib_faceid.errors import HostError

__all__ = ["draws_flux", "require_plain"]

DRAWS = "backend.nn.flux"
"""The module of a Forge that has FLUX.1 built in."""


def draws_flux() -> bool:
    """Say whether the Forge that runs here knows FLUX.1, as Forge Classic and reForge do not."""
    try:
        return find_spec(DRAWS) is not None
    except ModuleNotFoundError:  # not even the folder around it
        return False


def require_plain(transformer: nn.Module, checkpoint: str) -> None:
    """Raise HostError for a FLUX.1 that reads a picture beside the prompt: Redux was not made for it.

    checkpoint: its file's name, by which alone Kontext is told from [dev].
    """
    inputs, outputs = (cast("int | None", getattr(transformer, f"{way}_channels", None)) for way in ("in", "out"))
    kind = "Fill, Depth or Canny" if inputs != outputs else "Kontext" if "kontext" in checkpoint.lower() else ""
    if kind:
        raise HostError(
            f"The checkpoint that is loaded is a FLUX.1 that reads a picture beside the prompt ({kind}), and nothing "
            "here was made for it. Choose FLUX.1 [dev] or [schnell]."
        )
