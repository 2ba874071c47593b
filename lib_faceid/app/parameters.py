"""A picture's settings as the AUTOMATIC1111 WebUI writes and reads them ("PNG Info"), there and back."""

from __future__ import annotations

import json
from collections.abc import Mapping

from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.units.parameters import NEGATIVE, parameters_from

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
    negative = [f"{NEGATIVE}{request.negative}"] if request.negative else []
    lines = [request.prompt, *negative, ", ".join(f"{key}: {_quoted(value)}" for key, value in settings.items())]
    # A file's name may hold bytes that are no text, which no picture's metadata can hold.
    return "\n".join(lines).encode(errors="backslashreplace").decode()


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(letter in text for letter in ',:\n"') else text
