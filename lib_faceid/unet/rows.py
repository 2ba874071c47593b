"""Slot tags: whose row is it? The answer rides in front of each row of the conditioning.

A host may send cond and uncond together, apart, in chunks, several conds for one image, or tiles that repeat rows. A
token in front of every row names the row's slot, so that no order needs to be guessed: slot 0 is uncond, slot i
the i-th identity. Padding goes to the end of a row, so the front is safe.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["MAX_SLOT", "tag_rows", "untag_rows"]

MAX_SLOT = 256  # the largest range of whole numbers that bfloat16 holds exactly


def tag_rows(context: Tensor, slots: Sequence[int]) -> Tensor:
    """Return context [B, L, C] with one token more in front, [B, L + 1, C], that names each row's slot."""
    tag = torch.zeros_like(context[:, :1])
    tag[:, 0, 0] = torch.tensor(slots, dtype=context.dtype, device=context.device)
    return torch.cat((tag, context), dim=1)


def untag_rows(context: Tensor) -> tuple[Tensor, Tensor]:
    """Return the context without its tags, and the slots, int64 [B] on the same device: nothing waits for the GPU."""
    return context[:, 1:], context[:, 0, 0].round().long()
