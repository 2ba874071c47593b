"""Redux's embedder: from SigLIP's hidden states to tokens of T5's width, on a grid that may be made coarser.

tokens = redux_down(silu(redux_up(hidden states))), as github.com/black-forest-labs/flux (Apache-2.0, commit 802fb47),
`modules/image_embedders.py: ReduxImageEncoder`. A coarser grid is the mean of the tokens in each of its fields, which
gives the prompt more of the attention and the image less detail: the idea and the default of 9 x 9 are those of
github.com/kaibioinfo/ComfyUI_AdvancedRefluxControl (04eaa30; there "area" for a third, "bicubic" for other sizes).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["TENSORS", "Redux", "redux_projection"]

TENSORS = tuple(f"redux_{way}.{kind}" for way in ("up", "down") for kind in ("weight", "bias"))


class Redux(nn.Module):
    """Two linear layers, and a coarser grid behind them."""

    def __init__(self, feature_dim: int, hidden_dim: int, out_dim: int) -> None:
        super().__init__()
        self.redux_up = nn.Linear(feature_dim, hidden_dim)
        self.redux_down = nn.Linear(hidden_dim, out_dim)

    def forward(self, hidden_states: Tensor, detail: float = 27) -> Tensor:
        """Return tokens [n, side * side, out_dim] of hidden states [n, positions, feature_dim], row by row.

        detail: how many tokens the grid has along a side; no more than there are positions.
        """
        tokens = self.redux_down(functional.silu(self.redux_up(hidden_states)))
        side = isqrt(tokens.shape[1])
        wanted = min(max(round(detail), 1), side)
        if wanted == side:
            return tokens
        grid = tokens.transpose(1, 2).unflatten(2, (side, side))
        return functional.interpolate(grid, size=(wanted, wanted), mode="area").flatten(2).transpose(1, 2)


def redux_projection(state: Mapping[str, Tensor]) -> Redux:
    """Return the embedder with a file's tensors, float32 on the CPU."""
    hidden_dim, feature_dim = state["redux_up.weight"].shape
    network = Redux(feature_dim, hidden_dim, state["redux_down.weight"].shape[0])
    network.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    return network.eval().requires_grad_(requires_grad=False)
