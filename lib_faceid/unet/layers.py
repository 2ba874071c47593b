"""Find the attention layers of a UNet, in the order in which adapter files number them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor, nn

from lib_faceid.errors import HostError
from lib_faceid.units.weight_types import Stage

__all__ = [
    "AttentionLayer",
    "attention_layers",
    "context_dim",
    "is_transformer",
    "matrix_shape",
    "measured",
    "transformers",
]

# `ldm` and `sgm` call the stages by other names than diffusers.
_STAGES: Mapping[str, Stage] = {
    "input_blocks": "input",
    "down_blocks": "input",
    "middle_block": "middle",
    "mid_block": "middle",
    "output_blocks": "output",
    "up_blocks": "output",
}
_TRANSFORMERS = (
    ("context_embedder", "single_transformer_blocks"),
    ("txt_in", "vector_in", "double_blocks", "single_blocks"),
)
# Adapter files number the layers of diffusers' `unet.attn_processors`: not in the order of execution.
_FILE_ORDER: tuple[Stage, ...] = ("input", "output", "middle")


@dataclass(frozen=True, eq=False)
class AttentionLayer:
    """One attention layer of a UNet: a `CrossAttention` of `ldm` or `sgm`, or an `Attention` of diffusers."""

    index: int
    """The number N of adapter files: even for self-attention (attn1), odd for cross-attention (attn2)."""
    name: str
    module: nn.Module

    @property
    def is_cross(self) -> bool:
        """Whether it looks at the prompt (attn2), not at the picture itself (attn1)."""
        return self.index % 2 == 1

    @property
    def stage(self) -> Stage:
        """Which part of the UNet it is in."""
        return _STAGES[self.name.split(".", 1)[0]]

    @property
    def block(self) -> str:
        """The name of the transformer around it, which in SDXL holds several layers."""
        return self.name.split(".transformer_blocks.", 1)[0]

    @property
    def heads(self) -> int:
        """How many parts its channels are cut into."""
        return int(cast("int", self.module.heads))

    @property
    def hidden_dim(self) -> int:
        """The width of its queries, all heads together."""
        return self.shape("q")[0]

    @property
    def context_dim(self) -> int:
        """The width of what it looks at."""
        return self.shape("k")[1]

    def projection(self, kind: str) -> nn.Module:
        """Return the module that the host calls for `q`, `k`, `v` or `out`: for `out` the Linear in the Sequential."""
        if kind == "out":
            return cast("nn.Sequential", self.module.to_out)[0]
        return cast("nn.Module", getattr(self.module, f"to_{kind}"))

    def linear(self, kind: str) -> nn.Linear:
        """Return the Linear that holds the weight of `q`, `k`, `v` or `out`, below any LoRA layer around it."""
        projection = self.projection(kind)
        return cast("nn.Linear", getattr(projection, "base_layer", projection))

    def shape(self, kind: str) -> tuple[int, int]:
        """Return how many numbers come out of `q`, `k`, `v` or `out`, and how many go in."""
        return matrix_shape(self.linear(kind))


def matrix_shape(linear: nn.Module) -> tuple[int, int]:
    """Return how many numbers come out of a Linear, and how many go in.

    Forge's Linears for GGUF and 4 bits do not say it, but their weights do: GGUF's by its shape, packed 4 bits by what
    bitsandbytes keeps beside them.
    """
    if hasattr(linear, "out_features"):
        return int(cast("int", linear.out_features)), int(cast("int", linear.in_features))
    packed: Any = getattr(linear.weight, "quant_state", None)
    rows, columns = cast("Tensor", linear.weight).shape if packed is None else packed.shape
    return int(rows), int(columns)


def attention_layers(unet: nn.Module) -> tuple[AttentionLayer, ...]:
    """Return all attention layers in the adapter files' order. Raises HostError when this is no UNet we know."""
    found = [
        (_FILE_ORDER.index(_STAGES[stage]), name, module)
        for name, module in unet.named_modules()
        if name.rsplit(".", 1)[-1] in ("attn1", "attn2")
        and hasattr(module, "to_q")
        and (stage := name.split(".", 1)[0]) in _STAGES
    ]
    found.sort(key=lambda item: item[0])  # stable: inside a stage the modules stand in order already
    layers = tuple(AttentionLayer(index, name, module) for index, (_, name, module) in enumerate(found))
    if not layers or any(layer.is_cross != layer.name.endswith("attn2") for layer in layers):
        raise HostError(
            f"No Stable Diffusion UNet was found here (a {type(unet).__name__} with {len(layers)} attention layers). "
            f"FaceID exists for SD 1.5 and SDXL."
        )
    return layers


def is_transformer(network: nn.Module) -> bool:
    """Say whether it is a transformer of FLUX.1, which reads the prompt in one row with the picture.

    On diffusers, or built into Forge by black-forest-labs' names. Chroma and FLUX.2, which have these as well, lack
    what takes CLIP's vector.
    """
    return any(all(hasattr(network, name) for name in names) for names in _TRANSFORMERS)


def context_dim(transformer: nn.Module) -> int:
    """Return the width of the context that a transformer reads: 4096 for FLUX.1."""
    embedder = getattr(transformer, "context_embedder", None) or transformer.txt_in
    return matrix_shape(cast("nn.Module", embedder))[1]


def measured(network: nn.Module) -> tuple[int, tuple[int, ...]]:
    """Return the width of a network's context, and of its cross-attention layers, sorted; a transformer has none.

    768 is SD 1.5, 1024 SD 2, 2048 SDXL, 4096 FLUX.1.

    Raises HostError for a network of another kind.
    """
    if is_transformer(network):
        return context_dim(network), ()
    cross = [layer for layer in attention_layers(network) if layer.is_cross]
    return cross[0].context_dim, tuple(sorted(layer.hidden_dim for layer in cross))


def transformers(unet: nn.Module, layers: Iterable[AttentionLayer]) -> list[nn.Module]:
    """Return the modules around the attention layers that take the feature map itself, [B, C, H, W]."""
    return [unet.get_submodule(name) for name in dict.fromkeys(layer.block for layer in layers)]
