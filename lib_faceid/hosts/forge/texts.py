"""People who are written into Forge's prompts: its text encoders, and what they push off the GPU in mid-pass.

Forge and Neo have text engines of their own; the Forge of early 2024, on which reForge and Forge Classic build, has
those of AUTOMATIC1111. Both are called in the same way.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from modules import shared
from torch import Tensor

from lib_faceid.effects.text import Writing
from lib_faceid.errors import HostError
from lib_faceid.hosts.forge.patcher import bring_back, patcher
from lib_faceid.hosts.webui.passes import is_hires_pass
from lib_faceid.hosts.webui.texts import conditioner_encoders, two_encoders, unnoted
from lib_faceid.hosts.webui.writing import written_cond

__all__ = ["written"]


def written(p: Any, writing: Writing, params: Any) -> Any:
    """Return a step's conditioning with the people in it. Raises FaceIDError where they cannot be written."""
    _refuse_other_texts(p)
    return written_cond(p, writing, params, partial(_encoding, params.x))


def _refuse_other_texts(p: Any) -> None:
    """Raise HostError where the UNet would read other texts than those that people are written into."""
    patches = patcher().model_options.get("transformer_options", {}).get("patches", {})
    if patches.get("attn2_patch"):
        raise HostError(
            "An extension (Forge Couple, say) gives parts of the picture prompts of its own, into which nobody can be "
            "written. Switch it off for this picture, or give the people parts of the prompt by AND."
        )
    if getattr(shared.opts, "dynamic_clip_skip_enabled", False):
        raise HostError("A person cannot be written into the prompt with dynamic CLIP skip. Switch it off.")
    batch = (p.hr_c if is_hires_pass(p) else p.c).batch
    if len({len(parts) for parts in batch}) > 1:
        raise HostError(
            "The prompts of this batch have AND in them, and not equally often: of each, no more parts are drawn here "
            "than the shortest one has. Set the batch size to 1, or write AND as often in all of them."
        )


@contextmanager
def _encoding(latents: Tensor) -> Generator[Sequence[Any]]:
    """Give the text encoders of the checkpoint, and the UNet back its place afterwards."""
    model = shared.sd_model
    engines = [getattr(model, f"text_processing_engine_{one}", None) for one in ("l", "g")]
    has_engines = any(one is not None for one in engines)
    encoders = two_encoders([one for one in engines if one is not None]) if has_engines else conditioner_encoders()
    if hasattr(model, "set_clip_skip"):
        model.set_clip_skip(int(shared.opts.CLIP_stop_at_last_layers))
    try:
        with unnoted(*_notes(encoders[0])):
            yield encoders
    finally:
        bring_back(latents)


def _notes(encoder: Any) -> list[dict[str, Any] | None]:
    """Return where is noted what an encoder has seen in a text."""
    places = (
        (getattr(encoder, "hijack", None), "extra_generation_params"),
        (sys.modules.get("backend.text_processing.classic_engine"), "last_extra_generation_params"),
        (getattr(sys.modules.get("backend.args"), "dynamic_args", None), "last_extra_generation_params"),  # in Neo
    )
    return [getattr(owner, name, None) for owner, name in places]
