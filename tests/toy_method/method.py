"""A toy: a person's tokens are one matrix times the recogniser's vector."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from lib_faceid.bases.base_model import SD15
from lib_faceid.encoders.features import ARCFACE
from lib_faceid.methods.method import Method, Reads, Shapes, Variant

__all__ = ["METHOD"]


class Toy(nn.Module):
    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.toy = nn.Parameter(state["toy.weight"].float(), requires_grad=False)  # [tokens, width, 512]

    def forward(self, vectors: Tensor, structure: float = 1.0) -> Tensor:
        return structure * (vectors @ self.toy.flatten(0, 1).T).unflatten(-1, self.toy.shape[:2])


def _is_toy(shapes: Shapes) -> bool:
    return shapes.get("toy.weight", ())[2:] == (512,)


METHOD = Method(
    id="toy",
    label="Toy",
    purpose="person",
    summary="A test's own.",
    variants=(
        Variant(
            id="toy_plain", label="Toy plain", matches=_is_toy, network=Toy, filename_hint="toy",
            reads=(Reads(ARCFACE, unit_length=True),), bases=(SD15,), network_settings=("structure",),
        ),
    ),
    file_hint="toy",
)  # fmt: skip
