"""Several faces of one person as one: averages of directions, and who does not belong."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lib_faceid.arguments import shown
from lib_faceid.errors import UnitError

__all__ = ["SAME_PERSON", "geometric_median", "likeness_to_rest", "mean_direction", "relative_weights"]

SAME_PERSON = 0.3
"""Cosine below which two faces are taken for two people. Of 300 labelled pairs, two photos of one person had 0.43 or
more and two people 0.26 or less; published recognisers are operated at 0.25 to 0.4."""
MEDIAN_STEPS = 60


def relative_weights(weights: Sequence[float], number: int) -> Tensor:
    """Return weights of `number` photos that add up to 1, equal ones for none at all.

    Raises UnitError unless there is one for each, none is negative, and they are not all zero.
    """
    try:
        given = torch.tensor(list(weights) or [1.0] * number, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        given = torch.tensor([])
    if (
        given.ndim != 1
        or len(given) != number
        or not bool(given.isfinite().all())
        or bool((given < 0).any())
        or not float(given.sum())
    ):
        raise UnitError(
            f"The photos' weights are {shown(weights)}; {number} numbers from 0 on, not all of them 0, were expected."
        )
    return given / given.sum()


def mean_direction(units: Tensor, weights: Tensor) -> Tensor:
    """Return the renormalised weighted mean [dim] of unit vectors [n, dim]."""
    return torch.nn.functional.normalize(weights @ units, dim=0)


def geometric_median(units: Tensor, weights: Tensor) -> Tensor:
    """Return the direction [dim] nearest to most of the unit vectors [n, dim]: up to half may be anybody.

    The point with the least weighted sum of distances, by Weiszfeld's iteration (1937), brought to unit length.
    """
    median = weights @ units
    for _ in range(MEDIAN_STEPS):
        pull = weights / (units - median).norm(dim=1).clamp(min=1e-6)
        median = (pull @ units) / pull.sum()
    return torch.nn.functional.normalize(median, dim=0)


def likeness_to_rest(units: Tensor) -> Tensor:
    """Return the cosine [n] of each unit vector to the geometric median of the others; 1 for a single one."""
    number = len(units)
    if number == 1:
        return torch.ones(1)
    rest = [torch.cat([units[:i], units[i + 1 :]]) for i in range(number)]
    equal = torch.full((number - 1,), 1 / (number - 1))
    return torch.stack([units[i] @ geometric_median(others, equal) for i, others in enumerate(rest)])
