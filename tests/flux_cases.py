"""Calls of a FLUX.1 transformer as Forge makes them, with our tokens in them: what `test_flux_integrated.py` compares.

Run as a program it draws them with the transformer of a Forge itself, by that Forge's own Python:
`python tests/flux_cases.py FORGE weights.safetensors out.safetensors`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent.parent))

from forges import become

from lib_faceid.effects.context import inject_context
from lib_faceid.effects.contribution import InContext
from lib_faceid.effects.effect import ContextTokens
from lib_faceid.effects.schedule import Schedule
from lib_faceid.effects.tokens import ContextPart
from lib_faceid.unet.regions import Region
from lib_faceid.unet.rows import CARRIED, CarriedSlots
from lib_faceid.unet.tiles import Tiles
from lib_faceid.units.region import WHOLE, Box

__all__ = ["CASES", "TEXTS", "WIDTH", "Case", "Known", "called", "drawn", "inputs", "made"]

WIDTH, TEXTS, CHANNELS, POOLED = 32, 5, 4, 64
LEFT, RIGHT = Box(0, 0, 0.5, 1), Box(0.5, 0, 1, 1)
SIZES = {
    "in_channels": CHANNELS, "vec_in_dim": POOLED, "context_in_dim": WIDTH, "hidden_size": 32, "mlp_ratio": 4.0,
    "num_heads": 2, "depth": 2, "depth_single_blocks": 2, "axes_dim": [4, 6, 6], "theta": 10_000, "qkv_bias": True,
    "guidance_embed": True,
}  # fmt: skip


class Known:
    """Tokens that are what they are."""

    def __init__(self, seed: int, count: int, shares: Sequence[float] = ()) -> None:
        tokens = torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed))
        self.part = ContextPart(tokens, torch.tensor(list(shares) or [1.0] * count))

    def encode(self) -> ContextPart:
        return self.part


@dataclass(frozen=True)
class Case:
    """units: sources of each image, weight, place; rows: slot and shown part of each; size: of the latents."""

    units: list[tuple[list[Known], float, Box | None]]
    slots: tuple[int, ...] = (1,)
    parts: tuple[Box, ...] = (WHOLE,)
    size: tuple[int, int] = (8, 12)

    @property
    def readings(self) -> list[InContext]:
        return [
            InContext(ContextTokens("some tokens", sources), Schedule(weight), [Region(box)] if box else [])
            for sources, weight, box in self.units
        ]


ONE, OTHER = Known(7, 4), Known(8, 3)
CASES = {
    "as trained": Case([([ONE], 1.0, None)]),
    "a weight": Case([([Known(7, 4, (1, 1, 0.5, 0.5))], 0.35, None)]),
    "two units": Case([([ONE], 0.5, None), ([OTHER], 1.0, None)]),
    "regions": Case([([ONE], 0.8, LEFT), ([OTHER], 1.0, RIGHT), ([Known(9, 2)], 0.6, None)]),
    "an odd size": Case([([ONE], 0.8, LEFT)], size=(7, 11)),
    "an image each": Case([([ONE, OTHER], 1.0, None), ([Known(9, 2)], 0.6, None)], slots=(1, 2)),
    "the negative side beside": Case([([ONE], 1.0, None)], slots=(1, 2, -1, -2)),
    "all alike": Case([([ONE], 0.6, None)], slots=(1, 2, 3)),
    "tiles": Case([([ONE], 1.0, LEFT)], slots=(1, 1), parts=(Box(0, 0, 0.6, 1), Box(0.4, 0, 1, 1))),
}


def inputs(case: Case) -> dict[str, Tensor]:
    """What Forge calls the transformer with, but for the slots."""
    source, rows = torch.Generator().manual_seed(3), len(case.slots)
    return {
        "x": torch.randn(rows, CHANNELS, *case.size, generator=source),
        "timestep": torch.full((rows,), 0.5),
        "context": torch.randn(rows, TEXTS, WIDTH, generator=source),
        "y": torch.randn(rows, POOLED, generator=source),
        "guidance": torch.full((rows,), 3.5),
    }


def called(transformer: nn.Module, case: Case, **more: Any) -> Tensor:
    """Its answer to a call as Forge makes one."""
    given = inputs(case)
    with torch.no_grad():
        return transformer(given.pop("x"), given.pop("timestep"), control=None, transformer_options={}, **given, **more)


def drawn(transformer: nn.Module, case: Case) -> Tensor:
    """The same with the case's units in it."""
    with inject_context(transformer, case.readings) as injection:
        told = case.slots[: len(case.slots) // len(case.parts)]  # Forge's tiles repeat the rows
        batches = [list(case.parts)] if case.parts != (WHOLE,) else []
        across = case.parts[0].right - case.parts[0].left
        whole = case.size[0], round(case.size[1] / across)
        injection.expect_carried(1, lambda: Tiles(whole, batches))
        found = called(transformer, case, **{CARRIED: CarriedSlots(told)})
        assert (injection.calls, injection.watch.unplaced_calls) == (1, 0)
    return found


def made(kind: Any, weights: dict[str, Tensor]) -> nn.Module:
    """A transformer of a class in the sizes of the cases."""
    sizes: dict[str, Any] = dict(SIZES)
    if "patch_size" in signature(kind).parameters:  # Forge Neo's
        sizes |= {"patch_size": 2, "out_channels": CHANNELS}
    transformer = kind(**sizes)
    if "double_blocks.0.img_attn.norm.query_norm.weight" in transformer.state_dict():
        weights = {name.replace("_norm.scale", "_norm.weight"): tensor for name, tensor in weights.items()}
    transformer.load_state_dict(weights, strict=True)
    return transformer.eval().requires_grad_(requires_grad=False)


def main(forge: str, weights: str, out: str) -> None:
    """Draw all cases with a Forge's own transformer, and look that nothing stays in it."""
    from safetensors.torch import load_file, save_file

    become(forge, "--always-cpu", "--cpu")  # as Forge says it, and as Neo does
    flux: Any = importlib.import_module("backend.nn.flux")
    attention = flux.attention_function
    transformer = made(flux.IntegratedFluxTransformer2DModel, load_file(weights))
    found: dict[str, Tensor] = {}
    for name, case in CASES.items():
        plain = called(transformer, case)
        found[name] = drawn(transformer, case).contiguous()
        found[f"plain {name}"] = plain.contiguous()
        assert torch.equal(called(transformer, case), plain)
        assert flux.attention_function is attention
    save_file(found, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
