"""Follow what other extensions make of a layer's rows and places: parts of a batch, tiles, merged places."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from lib_faceid.errors import HostError

__all__ = ["ALL_ROWS", "match_places", "match_rows", "rows_at_hand"]

ALL_ROWS = slice(None)


def rows_at_hand(hidden: Tensor, rows: int) -> slice:
    """Return which of a UNet call's rows a layer's input [b, N, C] holds.

    Regional Prompter and NegPiP cut a batch into cond and uncond inside a layer and call its parts for each, in an
    order of their own. What they cut off is a view, and its place in the memory of the whole tells which rows it is.
    """
    if hidden.shape[0] >= rows or not hidden.stride(0):
        return ALL_ROWS
    whole = hidden.untyped_storage().nbytes() // hidden.element_size()
    if whole != rows * hidden.stride(0):
        return ALL_ROWS  # a copy: whose rows it holds is not known
    first = int(hidden.storage_offset() // hidden.stride(0))
    return slice(first, first + hidden.shape[0])


def match_rows(rows: Tensor, query: Tensor) -> Tensor:
    """Return one row for each row of the query; what cuts pictures into tiles repeats each row in place.

    Raises HostError where the query has rows that are nobody's.
    """
    if rows.shape[0] == query.shape[0]:
        return rows
    times, rest = divmod(query.shape[0], rows.shape[0])
    if rest or not times:
        raise HostError(
            f"A layer of the UNet was given {query.shape[0]} rows for a call of {rows.shape[0]}: another extension "
            f"rearranges the batch in a way FaceID cannot follow. Switch extensions off one by one to find it."
        )
    return rows.repeat_interleave(times, dim=0)


def match_places(shares: Tensor, query: Tensor) -> Tensor:
    """Return one share for each query, [B or 1, N, 1]. Where another extension merged or cut places, about that one."""
    places = query.shape[1]
    if shares.shape[1] != places:
        shares = functional.interpolate(shares.transpose(1, 2), places, mode="linear").transpose(1, 2)
    return shares if shares.shape[0] == 1 else match_rows(shares, query)
