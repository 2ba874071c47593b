"""What a job puts into a network, by the kind of network that it is."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from torch import nn

from lib_faceid.effects.contribution import Contribution, Guide, InContext
from lib_faceid.effects.injection import Injection, inject
from lib_faceid.errors import HostError
from lib_faceid.unet.layers import is_transformer
from lib_faceid.units.region import Box

__all__ = ["injected"]


def injected(
    unet: nn.Module,
    contributions: Sequence[Contribution],
    guides: Sequence[Guide],
    readings: Sequence[InContext],
    view: Box,
) -> AbstractContextManager[Injection]:
    """Return what attaches them. What transformers and ControlNets need is not even imported where there are none."""
    if is_transformer(unet):
        if guides:
            raise HostError(f"{guides[0].effect.label} is a ControlNet for UNets, and FLUX.1 has none. Leave it out.")
        from lib_faceid.effects.context import inject_context

        return inject_context(unet, readings, view)
    if not guides:
        return inject(unet, contributions, view)
    from lib_faceid.effects.control import inject_guided

    return inject_guided(unet, contributions, guides, view)
