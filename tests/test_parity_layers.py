"""Per-layer weights: diffusers' scales by block are the oracle, two of its adapters at once where sides are swapped."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from builders import SDXL
from oracle import WorldWithOracle, load_pipeline
from parity import SCALE, Case, Measure, apart, ours
from torch import Tensor
from unets import call, inputs

from lib_faceid.units.layer_weights import LayerWeights
from lib_faceid.units.weight_types import WEIGHT_TYPES

pytest.importorskip("diffusers", reason="diffusers is the oracle")
pytest.importorskip("peft", reason="diffusers needs peft for the adapters' LoRA")

TOLERANCE = 1e-4  # max abs, float32
TOLD_APART = 1e-2
CASES = {"SD 1.5": Case("faceid"), "SDXL": Case("faceid", SDXL)}
# How diffusers numbers its blocks that look at the prompt, and how many transformers are in each.
LAYOUTS = {"SD 1.5": ((0, 1, 2), (1, 2, 3)), "SDXL": ((1, 2), (0, 1))}
DISTINCT = {  # each block another factor: a block in a wrong place shows
    "SD 1.5": ",".join(f"{0.2 + 0.1 * ((7 * t) % 16):.1f}" for t in range(16)),
    "SDXL": ",".join(f"{0.2 + 0.15 * ((7 * t) % 11):.2f}" for t in range(11)),
}


@pytest.fixture(scope="module")
def world() -> Iterator[WorldWithOracle]:
    with tempfile.TemporaryDirectory(prefix="faceid-parity-") as folder, torch.random.fork_rng():
        yield WorldWithOracle(Path(folder))


def by_block(family: str, factors: Sequence[float]) -> dict[str, Any]:
    """What `set_ip_adapter_scale` takes, from factors in the order of execution."""
    left = [SCALE * factor for factor in factors]
    down, up = LAYOUTS[family]
    return {
        "down": {f"block_{level}": [left.pop(0), left.pop(0)] for level in down},
        "mid": left.pop(0),
        "up": {f"block_{level}": [left.pop(0), left.pop(0), left.pop(0)] for level in up},
    }


@pytest.mark.parametrize(
    ("family", "weights"),
    [
        ("SD 1.5", LayerWeights(own=DISTINCT["SD 1.5"])),
        ("SD 1.5", LayerWeights(own="3:2.5,6:-1")),
        ("SD 1.5", LayerWeights("style transfer")),
        ("SD 1.5", LayerWeights("ease out")),
        ("SDXL", LayerWeights(own=DISTINCT["SDXL"])),
        ("SDXL", LayerWeights("style and composition")),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.weight_type} {value.own[:12]}",
)
def test_same_picture_as_diffusers_scales_by_block(
    world: WorldWithOracle, family: str, weights: LayerWeights, measure: Measure
) -> None:
    case = CASES[family]
    expected = world.expected(case, scale=by_block(family, weights.factors(family)))
    even = world.expected(case)
    for host in ["sdxl"] if family == "SDXL" else ["ldm", "diffusers"]:
        got = ours(world.unet(host), world.contribution(case, layers=weights))
        measure(difference=apart(got, expected), from_linear=apart(got, even))
        assert apart(got, expected) < TOLERANCE, host
        assert apart(got, even) > TOLD_APART


def test_the_example_of_diffusers_documentation(world: WorldWithOracle) -> None:
    """`{"down": {"block_2": [0.0, 1.0]}, "up": {"block_0": [0.0, 1.0, 0.0]}}`: style and layout of SDXL."""
    scale = {"down": {"block_2": [0.0, SCALE]}, "up": {"block_0": [0.0, SCALE, 0.0]}}
    expected = world.expected(CASES["SDXL"], scale=scale)
    got = ours(world.unet("sdxl"), world.contribution(CASES["SDXL"], layers=LayerWeights("style and composition")))
    assert apart(got, expected) < TOLERANCE


@pytest.mark.parametrize("name", ["style transfer precise", "composition precise"])
def test_same_picture_as_diffusers_where_sides_are_swapped(world: WorldWithOracle, name: str, measure: Measure) -> None:
    case, one = CASES["SD 1.5"], WEIGHT_TYPES[name]
    factors, swapped = one.factors["SD 1.5"], one.swapped["SD 1.5"]
    plain = [0.0 if t in swapped else factor for t, factor in enumerate(factors)]
    crossed = [factor if t in swapped else 0.0 for t, factor in enumerate(factors)]
    expected = _two_sides(world, case, by_block("SD 1.5", plain), by_block("SD 1.5", crossed))
    unswapped = world.expected(case, scale=by_block("SD 1.5", factors))
    for host in ("ldm", "diffusers"):
        got = ours(world.unet(host), world.contribution(case, layers=LayerWeights(name)))
        measure(difference=apart(got, expected), from_unswapped=apart(got, unswapped))
        assert apart(got, expected) < TOLERANCE, host
        assert apart(got[0], unswapped[0]) > TOLD_APART
        assert apart(got[1], unswapped[1]) > TOLD_APART


def _two_sides(world: WorldWithOracle, case: Case, plain: Mapping[str, Any], crossed: Mapping[str, Any]) -> Tensor:
    """What diffusers draws with the adapter twice: once for ordinary blocks, once for those with swapped sides."""
    parts = world.parts(case.key)
    pipeline = load_pipeline(world.unet("diffusers"), [parts, parts])
    person = case.person.id_embeddings[None]
    person = person / person.norm(dim=-1, keepdim=True)
    nobody = torch.zeros_like(person)
    pipeline.set_adapters(["faceid_0", "faceid_1"], adapter_weights=[0.0, 0.0])
    latents, steps, context = inputs()
    rows: list[Tensor] = []
    # In a swapped block uncond sees the person; cond sees tokens of zeros, which add nothing: scale 0.
    for row, embeds, scales in ((0, [nobody, person], [plain, crossed]), (1, [person, person], [plain, 0.0])):
        pipeline.set_ip_adapter_scale(scales)
        arguments = latents[row : row + 1], steps[row : row + 1], context[row : row + 1]
        rows.append(call(pipeline.unet, arguments, added_cond_kwargs={"image_embeds": embeds}))
    return torch.cat(rows)
