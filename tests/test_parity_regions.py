"""Two people in two regions: diffusers' IP-adapter masks are the oracle, at sizes where its own masks are exact.

diffusers guesses the height of a feature map from a square root and takes its mask by bicubic interpolation. Both are
exact where each map's sides have the picture's ratio and an edge lies between two places of the smallest map.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from builders import SD15, SDXL
from contributions import contribution
from oracle import WorldWithOracle, load_pipeline
from parity import SCALE, Case, Measure, apart
from torch import Tensor
from unets import call, identity_of

from lib_faceid.effects.injection import inject
from lib_faceid.references.identity import Identity
from lib_faceid.unet.regions import Region
from lib_faceid.units.region import PLACES, Box

pytest.importorskip("diffusers", reason="diffusers is the oracle")
pytest.importorskip("peft", reason="diffusers needs peft for the adapters' LoRA")

TOLERANCE = 1e-4  # max abs, float32
TOLD_APART = 1e-2
PEOPLE = (identity_of(1), identity_of(2))
Where = tuple[Box, Box]
SIDES: Where = PLACES["left"], PLACES["right"]
QUARTERS: Where = PLACES["top left"], PLACES["bottom right"]
ABOVE: Where = PLACES["top"], PLACES["bottom"]


@pytest.fixture(scope="module")
def world() -> Iterator[WorldWithOracle]:
    with tempfile.TemporaryDirectory(prefix="faceid-parity-") as folder, torch.random.fork_rng():
        yield WorldWithOracle(Path(folder))


def inputs(family: int, latent: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Return what a UNet takes for an uncond and a cond row of one image."""
    generator = torch.Generator().manual_seed(7)
    latents = torch.randn(1, 4, *latent, generator=generator).repeat(2, 1, 1, 1)
    return latents, torch.full((2,), 500), torch.randn(2, 77, family, generator=generator)


def mask(box: Box, latent: tuple[int, int]) -> Tensor:
    """Return a box as diffusers takes it: [1, one picture, height px, width px]."""
    height, width = (8 * side for side in latent)
    white = torch.zeros(1, 1, height, width)
    white[
        ..., round(box.top * height) : round(box.bottom * height), round(box.left * width) : round(box.right * width)
    ] = 1
    return white


def expected(world: WorldWithOracle, case: Case, latent: tuple[int, int], where: Where) -> Tensor:
    """What diffusers draws with the adapter once for each person, each behind a mask."""
    parts = world.parts(case.key)
    pipeline = load_pipeline(world.unet("sdxl" if case.cross_dim == SDXL else "diffusers"), [parts, parts])
    pipeline.set_adapters(["faceid_0", "faceid_1"], adapter_weights=[0.0, 0.0])
    pipeline.set_ip_adapter_scale([SCALE, SCALE])
    return call(
        pipeline.unet,
        inputs(case.cross_dim, latent),
        added_cond_kwargs={"image_embeds": [_with_nobody(person) for person in PEOPLE]},
        cross_attention_kwargs={"ip_adapter_masks": [mask(box, latent) for box in where]},
    )


def _with_nobody(person: Identity) -> Tensor:
    embedding = person.id_embeddings / person.id_embeddings.norm(dim=-1, keepdim=True)
    return torch.stack([torch.zeros_like(embedding), embedding])


@pytest.mark.parametrize(
    ("family", "latent", "where"),
    [
        pytest.param(SD15, (16, 16), SIDES, id="SD 1.5, left and right"),
        pytest.param(SD15, (16, 16), QUARTERS, id="SD 1.5, two quarters"),
        pytest.param(SD15, (16, 32), SIDES, id="SD 1.5, wide"),
        pytest.param(SD15, (32, 16), ABOVE, id="SD 1.5, tall"),
        pytest.param(SDXL, (16, 16), SIDES, id="SDXL, left and right"),
        pytest.param(SDXL, (16, 32), QUARTERS, id="SDXL, wide, two quarters"),
    ],
)
def test_same_picture_as_diffusers_masks(
    world: WorldWithOracle, family: int, latent: tuple[int, int], where: Where, measure: Measure
) -> None:
    case = Case("faceid", family)
    wanted = expected(world, case, latent, where)
    for host in ["sdxl"] if family == SDXL else ["ldm", "diffusers"]:
        got, swapped, everywhere = (_ours(world, case, host, latent, places) for places in (where, where[::-1], ()))
        measure(difference=apart(got, wanted), from_swapped=apart(got, swapped), from_none=apart(got, everywhere))
        assert apart(got, wanted) < TOLERANCE, host
        assert apart(got, swapped) > TOLD_APART
        assert apart(got, everywhere) > TOLD_APART


def _ours(world: WorldWithOracle, case: Case, host: str, latent: tuple[int, int], where: tuple[Box, ...]) -> Tensor:
    contributions = [
        contribution(
            world.adapter(case), [person], weight=SCALE, regions=[Region(box) for box in where[number : number + 1]]
        )
        for number, person in enumerate(PEOPLE)
    ]
    with inject(world.unet(host), contributions) as injection:
        injection.set_rows([0, 1])
        return call(world.unet(host), inputs(case.cross_dim, latent))
