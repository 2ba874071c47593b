"""Rows of the matrix: Regional Prompter, which calls layers for parts of the rows, or for each region in turn."""

from __future__ import annotations

from typing import Any

from tests.webui.beside.asked import Named, regional
from tests.webui.beside.row import HIRES, LEFT, LONG, WIDER, Row

__all__ = ["REGIONAL", "TWO"]

TWO = {"prompt": "a person, red hair BREAK a person, blue hat", "negative_prompt": "ugly"}
TWO_LONG = {**TWO, "negative_prompt": LONG}


def each(*names: str) -> dict[str, Any]:
    """A unit with a photo for each image of the batch."""
    return {"image": None, "images": [Named(name) for name in names], "batch": "one each"}


REGIONAL = (
    Row("Regional Prompter", "attention mode", regional(), request=TWO),
    Row(
        "Regional Prompter",
        "attention mode, cond and uncond together",
        regional(),
        request={**TWO, "negative_prompt": "ugly BREAK bad"},
    ),
    Row("Regional Prompter", "attention mode, together, other divisions", regional(), request=TWO_LONG),
    Row(
        "Regional Prompter",
        "attention mode, together, DDIM",
        regional(),
        request={**TWO_LONG, "sampler_name": "DDIM"},
    ),
    Row(
        "Regional Prompter",
        "attention mode, padded",
        regional(),
        options={"pad_cond_uncond": True},
        request=TWO,
    ),
    Row(
        "Regional Prompter",
        "attention mode, base prompt, batch 2",
        regional(base=True),
        request={**TWO, "prompt": f"two people BREAK {TWO['prompt']}", "batch_size": 2},
    ),
    Row("Regional Prompter", "attention mode, hires fix", regional(), request={**TWO, **HIRES}),
    Row(
        "Regional Prompter",
        "attention mode, a unit's region",
        regional(),
        request={**TWO, **WIDER},
        unit=LEFT,
        side="left",
    ),
    Row("Regional Prompter", "attention mode, SDXL", regional(), request=TWO, family="sdxl"),
    Row(
        "Regional Prompter",
        "attention mode, SDXL, together, other divisions",
        regional(),
        request=TWO_LONG,
        family="sdxl",
        fails="ZeroDivisionError",
        note="fails by itself, with or without us",
    ),
    Row(
        "Regional Prompter",
        "prompt mode",
        regional(tab="Prompt", base=True),
        request={"prompt": "a person with red hair BREAK blue hair, hair", "negative_prompt": "ugly"},
    ),
    Row("Regional Prompter", "latent mode", regional("Latent"), request=TWO),
    Row("Regional Prompter", "latent mode, no guidance", regional("Latent"), request={**TWO, "cfg_scale": 1}),
    Row("Regional Prompter", "latent mode, hires fix", regional("Latent"), request={**TWO, **HIRES}),
    Row(
        "Regional Prompter",
        "latent mode, a unit's region",
        regional("Latent"),
        request={**TWO, **WIDER},
        unit=LEFT,
        side="left",
    ),
    Row(
        "Regional Prompter",
        "latent mode, batch 2, one person",
        regional("Latent"),
        request={**TWO, "batch_size": 2},
        unit=each("astronaut", "astronaut"),
    ),
    Row(
        "Regional Prompter",
        "latent mode, batch 2, another person",
        regional("Latent"),
        request={**TWO, "batch_size": 2},
        unit=each("Luciano", "Luciano"),
    ),
    Row(
        "Regional Prompter",
        "latent mode, batch 2, one person each",
        regional("Latent"),
        request={**TWO, "batch_size": 2},
        unit=each("astronaut", "Luciano"),
        same_as=(
            "Regional Prompter, latent mode, batch 2, one person",
            "Regional Prompter, latent mode, batch 2, another person",
        ),
    ),
    Row("Regional Prompter", "latent mode, SDXL", regional("Latent"), request=TWO, family="sdxl"),
)
