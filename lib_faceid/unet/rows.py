"""Slots: whose row is it? The answer rides in front of each row of the conditioning, as a tag, or beside it.

A host may send cond and uncond together, apart, in chunks, several conds for one image, or tiles that repeat rows. A
token in front of every row names the row's slot, so that no order needs to be guessed: slot i is the i-th image of the
batch with its identity, slot -i the same image without (its uncond), 0 the uncond of any. Padding goes to the end of a
row, so the front is safe.

Hosts that hand the UNet more than a context, and keep it in the order of the rows, take the slots along as they are.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lib_faceid.arguments import shown
from lib_faceid.errors import UnitError

__all__ = [
    "CARRIED",
    "MAX_SLOT",
    "CarriedSlots",
    "checked_slots",
    "follow_images",
    "place_of",
    "tag_rows",
    "untag_rows",
]

CARRIED = "faceid_slots"
"""The argument of a UNet call that carries them."""
MAX_SLOT = 256  # the largest range of whole numbers that bfloat16 holds exactly


@dataclass(frozen=True)
class CarriedSlots:
    """The slots of a UNet call's rows. No tensor, so that no host casts it or moves it."""

    slots: tuple[int, ...]

    def for_rows(self, rows: int) -> Tensor | None:
        """Return the slots of that many rows, int64 [rows]; None where they are no multiple of those that were carried.

        There are more where a host draws several tiles in one call: the rows of each of them, one after the other.
        """
        times, rest = divmod(rows, len(self.slots))
        return None if rest or not times else torch.tensor(self.slots * times, dtype=torch.long)


def checked_slots(slots: Any, most: int) -> list[int]:
    """Return the slot of each row as whole numbers. Raises UnitError for anything else, and for one above `most`."""
    if isinstance(slots, (str, bytes)) or not isinstance(slots, Iterable):
        raise UnitError(f"slots is {shown(slots)}; a slot for each row, such as [0, 1], or None was expected.")
    slots = [_slot(slot, row) for row, slot in enumerate(slots)]
    wrong = [slot for slot in slots if not -MAX_SLOT <= slot <= most]
    if wrong:
        raise UnitError(f"Slot {wrong[0]} was named for a row; slots go up to {most}, and 0 or less is uncond.")
    return slots


def _slot(slot: Any, row: int) -> int:
    try:
        return operator.index(slot)
    except TypeError:
        raise UnitError(f"slots[{row}] is {shown(slot)}; a whole number was expected.") from None


def tag_rows(context: Tensor, slots: Sequence[int], place: int = 0) -> Tensor:
    """Return context [B, L, C] with one token more in front, [B, L + 1, C], that names each row's slot.

    place: a number that says which part of the picture the rows are for, where there are such numbers.
    """
    tag = torch.zeros_like(context[:, :1])
    tag[:, 0, 0] = torch.tensor(slots, dtype=context.dtype, device=context.device)
    tag[:, 0, 1] = place
    return torch.cat((tag, context), dim=1)


def place_of(context: Tensor) -> int:
    """Return the place of which all rows of a tagged context are. It waits for the GPU."""
    return int(context[0, 0, 1].round())


def untag_rows(context: Tensor) -> tuple[Tensor, Tensor]:
    """Return the context without its tags, and the slots, int64 [B] on the same device: nothing waits for the GPU."""
    return context[:, 1:], context[:, 0, 0].round().long()


def follow_images(latents: Tensor, images: Sequence[int]) -> list[int] | None:
    """Return which image each cond row of a step is of, where rows may have changed places; None where not known.

    latents: what the step begins with, the cond rows first, then one row for each image, of which each cond row is a
    copy; images: of each cond row, as the host laid them out. It waits for the GPU.
    """
    rows, count = len(images), max(images) + 1
    flat = latents.flatten(1)
    same = (flat[:rows, None] == flat[None, rows : rows + count]).all(dim=2).tolist()
    found = [[image for image, is_same in enumerate(row) if is_same] for row in same]
    if all(image in its for image, its in zip(images, found, strict=True)) or not any(found):
        return list(images)  # in their places; or changed where they are
    return [its[0] for its in found] if all(len(its) == 1 for its in found) else None
