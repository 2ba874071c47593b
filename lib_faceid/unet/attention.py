"""The arithmetic of identity attention, on tensors alone."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

__all__ = ["identity_attention"]


def identity_attention(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Return what each query takes from the identity tokens, heads merged, [B, N, C] in q's dtype.

    q [B, N, C] are the host's own queries; k, v [B, T, C] the identity's. Scale 1/sqrt(C / heads), no mask: the second
    term of decoupled cross-attention (IP-Adapter, Ye et al. 2023, https://arxiv.org/abs/2308.06721, eq. 5).
    """
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    return functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
