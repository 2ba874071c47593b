"""FLUX.1 as diffusers calls it: every argument by name, positions among them, and a mask for the attention."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from lib_faceid.effects.flux_call import Arguments, masked_by_others
from lib_faceid.errors import HostError

__all__ = ["DiffusersCall"]

NAMES = ("hidden_states", "encoder_hidden_states", "pooled_projections", "timestep", "img_ids", "txt_ids", "guidance")
LATENTS = 2  # a place of the transformer is so many latents wide and high
MASK = "attention_mask"


class DiffusersCall:
    """A call of `FluxTransformer2DModel`; `flux_call.FluxCall`."""

    was_reached = True

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._given = {**dict(zip(NAMES, args, strict=False)), **kwargs}
        self.context: Tensor = self._given["encoder_hidden_states"]
        self.places: int = self._given["hidden_states"].shape[1]

    def sizes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return them by the places' ids [places, 3]: (0, row, column)."""
        places = self._given["img_ids"]
        places = places[0] if places.ndim == 3 else places
        height, width = (int(side) + 1 for side in places[:, 1:].amax(0))
        if height * width != len(places):
            raise HostError(
                f"The transformer draws {len(places)} places, which are not one picture of {height}x{width}: a region "
                "cannot be placed. Leave the region out."
            )
        return (height, width), (height * LATENTS, width * LATENTS)

    def joined(self, context: Tensor, bias: Tensor | None, until_end: ExitStack) -> Arguments:
        """Return the arguments with zeros as positions of what is new, as Redux was trained."""
        given, ids = dict(self._given), self._given["txt_ids"]
        added = context.shape[1] - self.context.shape[1]
        given["encoder_hidden_states"] = context
        given["txt_ids"] = torch.cat([ids, ids.new_zeros(*ids.shape[:-2], added, ids.shape[-1])], dim=-2)
        if bias is not None:
            more = given.get("joint_attention_kwargs") or {}
            if more.get(MASK) is not None:
                raise masked_by_others()
            given["joint_attention_kwargs"] = {**more, MASK: bias}
        return (), given
