"""Names and shapes of tensors as trees, nested like the modules that they belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

__all__ = ["Shape", "Tree", "conv", "flatten", "linear", "norm", "numbered"]

Shape: TypeAlias = tuple[int, ...]
Tree: TypeAlias = Mapping[str, "Tree | Shape"]


def flatten(tree: Tree, prefix: str = "") -> dict[str, Shape]:
    """Return the tree as dotted names and shapes."""
    flat: dict[str, Shape] = {}
    for name, node in tree.items():
        flat |= {prefix + name: node} if isinstance(node, tuple) else flatten(node, f"{prefix}{name}.")
    return flat


def numbered(nodes: Sequence[Tree]) -> Tree:
    """Return a list of modules, which torch names "0", "1", ..."""
    return {str(index): node for index, node in enumerate(nodes)}


def linear(into: int, out: int) -> Tree:
    """Return a Linear layer."""
    return {"weight": (out, into), "bias": (out,)}


def conv(into: int, out: int, kernel: int = 3) -> Tree:
    """Return a 2-d convolution."""
    return {"weight": (out, into, kernel, kernel), "bias": (out,)}


def norm(channels: int) -> Tree:
    """Return a normalisation with learned scale and offset."""
    return {"weight": (channels,), "bias": (channels,)}
