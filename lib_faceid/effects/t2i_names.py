"""A T2I-Adapter's tensors under diffusers' names, whatever layout its file has.

The older layout is that of the files of https://github.com/TencentARC/T2I-Adapter, which count the blocks of all levels
through; a light one's blocks lie in its levels there too, under another name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from lib_faceid.effects.t2i_adapter import PREFIX

__all__ = ["is_t2i_adapter", "t2i_named_as_diffusers"]

State = Mapping[str, Tensor]
BLOCK = re.compile(r"body\.(\d{1,3})\.(block[12]|in_conv)\.(weight|bias)")
LIGHT_BLOCK = re.compile(r"body\.(\d{1,3})\.body\.(\d{1,3}\..+)")
LEVELS = 4  # of every published file


def is_t2i_adapter(state: State) -> bool:
    """Whether tensors are those of a T2I-Adapter, in either layout."""
    return any(key.startswith((f"{PREFIX}body.", "body.0.")) for key in state)


def t2i_named_as_diffusers(state: State) -> dict[str, Tensor]:
    """Return an adapter's tensors by diffusers' names. A name that is not known keeps what is not known of it."""
    if any(key.startswith(PREFIX) for key in state):
        return dict(state)
    if any(LIGHT_BLOCK.fullmatch(key) for key in state):
        return {PREFIX + LIGHT_BLOCK.sub(r"body.\1.resnets.\2", key): tensor for key, tensor in state.items()}
    numbers = {int(found[1]) for key in state if (found := BLOCK.fullmatch(key))}
    widening = [number for number in sorted(numbers) if number and f"body.{number}.in_conv.weight" in state]
    each = widening[0] if widening else max(len(numbers) // LEVELS, 1)

    def rename(key: str) -> str:
        found = BLOCK.fullmatch(key)
        if found is None:
            return key
        (level, at), part = divmod(int(found[1]), each), f"{found[2]}.{found[3]}"
        inside = part if found[2] == "in_conv" and at == 0 else f"resnets.{at}.{part}"
        return f"body.{level}.{inside}"

    return {PREFIX + rename(key): tensor for key, tensor in state.items()}
