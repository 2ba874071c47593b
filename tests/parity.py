"""What the tests of parity and precision share: cases, models made when first asked for, and the measuring."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from builders import SD15, SDXL, Parts, parts_of, write
from contributions import contribution
from torch import Tensor, nn
from unets import call, diffusers_copy, identity_of, inputs, ldm_unet, sdxl_unet

from lib_faceid.effects.injection import Contribution, inject
from lib_faceid.effects.lora import merge_lora
from lib_faceid.effects.tokens import Tokens
from lib_faceid.methods.adapter import Adapter
from lib_faceid.methods.loading import load_adapter
from lib_faceid.methods.registry import by_id
from lib_faceid.references.identity import Identity
from lib_faceid.references.reference import Reference

__all__ = ["SCALE", "Case", "Measure", "World", "apart", "measuring", "ours", "put_zeros_for_uncond", "relative"]

SCALE = 0.7
FILE_OF = {"plus": "plusv2"}  # the same tensors serve both

Measure = Callable[..., None]


@dataclass(frozen=True)
class Case:
    """One adapter, and how it is asked."""

    variant: str
    cross_dim: int = SD15
    faces: int = 1
    structure: float = 1.0

    def __str__(self) -> str:
        family = {SD15: "sd15", SDXL: "sdxl"}[self.cross_dim]
        return f"{family}-{self.variant}-faces {self.faces}-structure {self.structure:g}"

    @property
    def key(self) -> tuple[str, int]:
        """Which file serves it."""
        return FILE_OF.get(self.variant, self.variant), self.cross_dim

    @property
    def person(self) -> Identity:
        return identity_of(1, faces=self.faces, clip=bool(by_id(self.variant).encoders))


class World:
    """The UNets and adapter files of the session."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @lru_cache  # noqa: B019 - lives as long as the session
    def unet(self, kind: str) -> nn.Module:
        """Return the UNet of "ldm", "diffusers" (the same weights) or "sdxl"."""
        if kind == "sdxl":
            return sdxl_unet()
        return ldm_unet() if kind == "ldm" else diffusers_copy(self.unet("ldm"))

    @lru_cache  # noqa: B019
    def parts(self, key: tuple[str, int]) -> Parts:
        return parts_of(*key)

    def adapter(self, case: Case) -> Adapter:
        path = self._folder / "-".join(map(str, (*case.key, ".safetensors")))
        if not path.exists():
            write(self.parts(case.key), path)
        return load_adapter(path, case.variant)

    def contribution(self, case: Case, **changes: Any) -> Contribution:
        settings: dict[str, Any] = {"weight": SCALE, "structure": case.structure, **changes}
        return contribution(self.adapter(case), [case.person], **settings)


def ours(
    unet: nn.Module,
    contribution: Contribution,
    lora: float = 0.0,
    rows: tuple[int, ...] = (0, 1),
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Return what the UNet predicts with the engine, by default for an uncond and a cond row."""
    with ExitStack() as stack:
        stack.enter_context(merge_lora(unet, cast("Adapter", contribution.effect.weights), lora))
        injection = stack.enter_context(inject(unet, [contribution]))
        injection.set_rows(rows)
        return call(unet, inputs(contribution.effect.weights.cross_attention_dim), dtype)


def apart(one: Tensor, other: Tensor) -> float:
    """Return the largest absolute difference."""
    return (one.double() - other.double()).abs().max().item()


def relative(got: Tensor, expected: Tensor) -> float:
    """Return the length of the difference, relative to that of `expected`."""
    return ((got.double() - expected.double()).norm() / expected.double().norm()).item()


def measuring(test: str, record_property: Callable[[str, object], None]) -> Measure:
    """Return what shows figures to whoever runs the tests (`pytest -rA`), and records them in a report."""

    def measure(**figures: float) -> None:
        for name, value in figures.items():
            record_property(name, value)
        print(f"MEASURED {test}: " + ", ".join(f"{name} {value:.2g}" for name, value in figures.items()))

    return measure


def put_zeros_for_uncond(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wrong control: uncond reads zero tokens, and not what the projection makes of blank features."""
    encode = Adapter.encode

    def with_zeros(adapter: Adapter, reference: Reference, *_: object) -> Tokens:
        cond = encode(adapter, reference).cond
        return Tokens(cond, torch.zeros_like(cond))

    monkeypatch.setattr(Adapter, "encode", with_zeros)
