"""A picture's settings as the AUTOMATIC1111 WebUI writes and reads them ("PNG Info"), there and back."""

from __future__ import annotations

from collections.abc import Mapping

from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.units.parameters import join_parameters, parameters_from

__all__ = ["SAMPLER", "parameters_from", "parameters_text"]

SAMPLER = "DDIM"


def parameters_text(request: Request, size_px: tuple[int, int], model: str, more: Mapping[str, str]) -> str:
    """Return the settings of a picture of that size. more: name -> value of what is no setting of the request."""
    settings = {
        "Steps": request.steps,
        "Sampler": SAMPLER,
        "CFG scale": f"{request.cfg:g}",
        "Seed": request.seed,
        "Size": f"{size_px[0]}x{size_px[1]}",
        "Model": model,
        **more,
    }
    return join_parameters(request.prompt, request.negative, settings)
