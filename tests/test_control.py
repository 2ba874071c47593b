"""A ControlNet beside the UNet: diffusers' own pipeline of both is the oracle, on `ldm` classes and on diffusers'.

The oracle computes its residuals by diffusers' ControlNetModel with the tokens as context, and hands them to the UNet
together with its own IP-Adapter; for `ldm`, which takes no residuals, the UNet's forward is written out here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import SD15, SDXL, Parts, Source, ip_adapter_layers, resampler, sd15_widths, sdxl_widths, write
from contributions import contribution
from numpy.typing import NDArray
from parity import SCALE, Measure, relative
from safetensors.torch import save_file
from torch import Tensor, nn
from unets import call, identity_of, inputs, ldm_unet, randomise, snapshot

from lib_faceid.effects.contribution import Contribution, Guide
from lib_faceid.effects.control import GuidedInjection, inject_guided
from lib_faceid.effects.effect import Control
from lib_faceid.effects.injection import inject
from lib_faceid.effects.net_file import net_file
from lib_faceid.effects.schedule import Schedule
from lib_faceid.effects.tokens import Tokens
from lib_faceid.errors import FileError, MismatchError
from lib_faceid.methods.adapter import Adapter
from lib_faceid.methods.loading import load_adapter
from lib_faceid.unet.regions import Region
from lib_faceid.units.region import PLACES, WHOLE, Box

diffusers = pytest.importorskip("diffusers", reason="diffusers is the oracle")

TOLERANCE = 1e-4  # relative to the effect, float32
NET_SCALE = 0.6
LATENT = 16


@dataclass(frozen=True)
class Spots:
    """A picture of random pixels, the same ones in every part of it."""

    seed: int

    def drawn(self, canvas_px: tuple[int, int], view: Box) -> NDArray[np.uint8]:
        whole = [round(side / (view[2] - view[0])) for side in canvas_px]
        pixels = np.random.default_rng(self.seed).integers(0, 256, (whole[1], whole[0], 3), np.uint8)
        left, top = round(view.left * whole[0]), round(view.top * whole[1])
        return pixels[top : top + canvas_px[1], left : left + canvas_px[0]]


def spots(seed: int) -> Tensor:
    """The same as diffusers takes it."""
    side = LATENT * 8
    return torch.from_numpy(Spots(seed).drawn((side, side), WHOLE)).permute(2, 0, 1)[None].float() / 255


SIZES: dict[str, Any] = {
    "sd15": {
        "block_out_channels": (64, 128, 256, 256),
        "attention_head_dim": 8,
        "cross_attention_dim": SD15,
    },
    "sdxl": {
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "block_out_channels": (32, 64, 128),
        "transformer_layers_per_block": (1, 2, 10),
        "attention_head_dim": (2, 4, 8),
        "cross_attention_dim": SDXL,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 16,
        "projection_class_embeddings_input_dim": 64 + 6 * 16,
    },
}


@lru_cache
def net(family: str, seed: int = 3) -> nn.Module:
    found = diffusers.ControlNetModel(**SIZES[family])
    randomise(found, seed)
    return found.eval().requires_grad_(False)


@lru_cache
def unet(kind: str) -> nn.Module:
    if kind in ("ldm", "forge"):
        found = ldm_unet()
        found.__class__ = _forge_class(type(found)) if kind == "forge" else type(found)
        return found
    found = diffusers.UNet2DConditionModel(
        sample_size=LATENT, up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), **SIZES["sdxl"]
    )
    randomise(found, seed=2)
    return found.eval().requires_grad_(False)


def _forge_class(ldm: Any) -> Any:
    """A UNet as Forge and its kin have it: layers called one by one, residuals taken from the ends of lists."""
    from ldm.modules.attention import SpatialTransformer
    from ldm.modules.diffusionmodules.openaimodel import TimestepBlock
    from ldm.modules.diffusionmodules.util import timestep_embedding

    def through(block: Any, h: Tensor, emb: Tensor, context: Tensor) -> Tensor:
        for layer in block:
            given = (emb,) if isinstance(layer, TimestepBlock) else ()
            h = layer(h, *((context,) if isinstance(layer, SpatialTransformer) else given))
        return h

    def take(h: Tensor, control: Any, name: str) -> Tensor:
        found = control[name].pop() if control and control.get(name) else None
        return h if found is None else h + found

    class ForgeUNet(ldm):
        def forward(self, x: Tensor, timesteps: Tensor, context: Tensor, y: Any = None, control: Any = None) -> Tensor:
            emb = self.time_embed(timestep_embedding(timesteps, self.model_channels, repeat_only=False))
            kept, h = [], x
            for block in self.input_blocks:
                h = through(block, h, emb, context)
                kept.append(h)
            h = take(through(self.middle_block, h, emb, context), control, "middle")
            for block in self.output_blocks:
                h = through(block, torch.cat([h, take(kept.pop(), control, "output")], dim=1), emb, context)
            return self.out(h)

    return ForgeUNet


FAMILY = {"ldm": "sd15", "forge": "sd15", "sdxl": "sdxl"}
KINDS = list(FAMILY)


class World:
    """Files of an adapter and of two ControlNets for each family, in the published layouts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @lru_cache  # noqa: B019 - lives as long as the module
    def adapter(self, kind: str) -> Adapter:
        dim = SDXL if kind == "sdxl" else SD15
        source = Source(4)
        widths = sdxl_widths() if kind == "sdxl" else sd15_widths()
        parts = Parts(resampler(source, 64, 512, dim), ip_adapter_layers(source, widths, dim))
        adapter = load_adapter(write(parts, self._folder / f"instantid-{kind}.safetensors")) if kind == "sdxl" else None
        return adapter or self._other(source, widths)

    def _other(self, source: Source, widths: Sequence[int]) -> Adapter:
        from builders import mlp

        parts = Parts(mlp(source, SD15, 16, 64), ip_adapter_layers(source, widths, SD15))
        return load_adapter(write(parts, self._folder / "portrait.safetensors"))

    @lru_cache  # noqa: B019
    def file(self, kind: str, seed: int = 3) -> Path:
        path = self._folder / f"net-{kind}-{seed}.safetensors"
        save_file(net(FAMILY[kind], seed).state_dict(), path)
        return path

    def tokens(self, kind: str, person: int = 1) -> Tokens:
        return self.adapter(kind).encode(identity_of(person))

    def contribution(self, kind: str, people: Sequence[int] = (1,), **more: Any) -> Contribution:
        return contribution(self.adapter(kind), [identity_of(one) for one in people], SCALE, **more)

    def guide(self, kind: str, people: Sequence[int] = (1,), pictures: Sequence[int] = (1,), **more: Any) -> Guide:
        sources = self.contribution(kind, people).effect.sources
        effect = Control(net_file(self.file(kind)), "a net", sources, [Spots(one) for one in pictures])
        settings: dict[str, Any] = {"schedule": Schedule(NET_SCALE)} | more
        return Guide(effect, **settings)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("control"))


def given(kind: str, rows: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    return inputs(SDXL if kind == "sdxl" else SD15, rows)


@lru_cache
def told(rows: int = 2) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(9)
    sizes = torch.rand(rows, 6, generator=generator) * 1000
    return {"text_embeds": torch.randn(rows, 64, generator=generator), "time_ids": sizes}


def predicted(kind: str, rows: int = 2, **more: Any) -> Tensor:
    """What the UNet predicts as it is, hooks or none."""
    if kind == "sdxl":
        more = {"added_cond_kwargs": told(rows) | more.pop("added_cond_kwargs", {})} | more
    return call(unet(kind), given(kind, rows), **more)


@torch.no_grad()
def their_residuals(kind: str, context: Tensor, picture: int = 1, seed: int = 3) -> tuple[list[Tensor], Tensor]:
    latents, time, _ = given(kind, len(context))
    more = {"added_cond_kwargs": told(len(context))} if kind == "sdxl" else {}
    hint = spots(picture).expand(len(context), -1, -1, -1)
    found = net(FAMILY[kind], seed)(latents, time, encoder_hidden_states=context, controlnet_cond=hint, **more)
    return [one * NET_SCALE for one in found.down_block_res_samples], found.mid_block_res_sample * NET_SCALE


def as_arguments(down: Sequence[Tensor], middle: Tensor) -> dict[str, Any]:
    """Residuals as diffusers' UNet takes them."""
    return {"down_block_additional_residuals": tuple(down), "mid_block_additional_residual": middle}


@torch.no_grad()
def with_residuals(kind: str, down: Sequence[Tensor], middle: Tensor, contributions: Sequence[Contribution]) -> Tensor:
    """The UNet's answer with residuals put in by the oracle: diffusers' arguments, or `ldm`'s forward written out."""
    rows = len(middle)
    with inject(unet(kind), contributions) as injection:
        injection.set_rows([0, 1] if rows == 2 else list(range(rows)))
        if kind == "sdxl":
            more: dict[str, Any] = {
                "down_block_additional_residuals": tuple(down),
                "mid_block_additional_residual": middle,
            }
            return predicted(kind, rows, **more)
        if kind == "forge":
            return predicted(kind, rows, control={"output": list(down), "middle": [middle]})
        from ldm.modules.diffusionmodules.util import timestep_embedding

        model: Any = unet(kind)
        original = model.forward

        def forward(x: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
            emb = model.time_embed(timestep_embedding(timesteps, model.model_channels, repeat_only=False))
            kept, h = [], x
            for block in model.input_blocks:
                h = block(h, emb, context)
                kept.append(h)
            h = model.middle_block(h, emb, context) + middle
            for block, residual in zip(model.output_blocks, reversed(list(down)), strict=True):
                h = block(torch.cat([h, kept.pop() + residual], dim=1), emb, context)
            return model.out(h)

        model.forward = forward
        try:
            return predicted(kind, rows)
        finally:
            model.forward = original
            del model.forward


def ours(
    world: World,
    kind: str,
    contributions: Sequence[Contribution],
    guides: Sequence[Guide],
    rows: Sequence[int] = (0, 1),
    progress: float = 0.0,
) -> Tensor:
    with inject_guided(unet(kind), contributions, guides) as injection:
        injection.set_rows(rows)
        injection.set_progress(progress)
        return predicted(kind, len(rows))


def context_of(world: World, kind: str) -> Tensor:
    tokens = world.tokens(kind)
    return torch.stack([tokens.uncond, tokens.cond])


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_picture_as_diffusers(world: World, kind: str, measure: Measure) -> None:
    """Adapter and net together; and each control is wrong in one way, which the same comparison tells."""
    person = [world.contribution(kind)]
    alone = with_residuals(kind, *their_zeros(world, kind), person)
    expected = with_residuals(kind, *their_residuals(kind, context_of(world, kind)), person)

    def apart(got: Tensor) -> float:
        """The difference, relative to what the net does."""
        return ((got - expected).norm() / (expected - alone).norm()).item()

    difference = apart(ours(world, kind, person, [world.guide(kind)]))
    text = given(kind)[2]
    swapped = context_of(world, kind).flip(0)
    wrong = {
        "text as context": with_residuals(kind, *their_residuals(kind, text), person),
        "uncond and cond swapped": with_residuals(kind, *their_residuals(kind, swapped), person),
        "another picture": ours(world, kind, person, [world.guide(kind, pictures=(2,))]),
        "another person": ours(world, kind, person, [world.guide(kind, people=(2,))]),
        "another strength": ours(world, kind, person, [world.guide(kind, schedule=Schedule(NET_SCALE * 1.02))]),
        "no net": ours(world, kind, person, []),
    }
    measure(difference=difference, **{name.replace(" ", "_"): apart(got) for name, got in wrong.items()})
    assert difference < TOLERANCE
    assert min(map(apart, wrong.values())) > 10 * TOLERANCE


def their_zeros(world: World, kind: str) -> tuple[list[Tensor], Tensor]:
    down, middle = their_residuals(kind, context_of(world, kind))
    return [one * 0 for one in down], middle * 0


@pytest.mark.parametrize("kind", KINDS)
def test_off_is_off_and_nothing_stays(world: World, kind: str) -> None:
    person, before, plain = [world.contribution(kind)], snapshot(unet(kind)), predicted(kind)
    off = [world.guide(kind, schedule=Schedule(0.0))]
    with inject(unet(kind), person) as injection:
        injection.set_rows((0, 1))
        alone = predicted(kind)
    assert torch.equal(ours(world, kind, person, off), alone)
    assert not torch.equal(ours(world, kind, person, [world.guide(kind)]), alone)
    late = [world.guide(kind, schedule=Schedule(NET_SCALE, start=0.5))]
    assert torch.equal(ours(world, kind, person, late, progress=0.4), alone)
    assert not torch.equal(ours(world, kind, person, late, progress=0.5), alone)
    assert torch.equal(predicted(kind), plain)
    assert snapshot(unet(kind)) == before


@pytest.mark.parametrize("kind", KINDS)
def test_several_people_each_with_a_net_of_their_own(world: World, kind: str, measure: Measure) -> None:
    """Without regions their residuals add up; the context of each is her own."""
    guides = [world.guide(kind, (1,), (1,)), world.guide(kind, (2,), (2,))]
    contexts = [torch.stack([one.uncond, one.cond]) for one in (world.tokens(kind), world.tokens(kind, 2))]
    first, second = (their_residuals(kind, context, at) for at, context in enumerate(contexts, 1))
    down = [a + b for a, b in zip(first[0], second[0], strict=True)]
    person = [world.contribution(kind)]
    expected = with_residuals(kind, down, first[1] + second[1], person)
    got = ours(world, kind, person, guides)
    measure(difference=relative(got, expected))
    assert relative(got, expected) < TOLERANCE
    assert guides[0].effect.net is guides[1].effect.net, "one file is in memory once"


def test_each_image_of_a_batch_has_its_person_and_its_picture(world: World) -> None:
    """Rows in any order: image 0 and 1 with their people, and their uncond rows."""
    kind = "sdxl"
    person, guide = [world.contribution(kind, (1, 2))], [world.guide(kind, (1, 2), (1, 2))]
    rows = [-2, 1, 2, -1]
    got = ours(world, kind, person, guide, rows)
    tokens = [world.tokens(kind), world.tokens(kind, 2)]
    context = torch.stack([tokens[0].uncond, tokens[0].cond, tokens[1].cond, tokens[0].uncond])
    each = [their_residuals(kind, context, picture) for picture in (1, 2)]
    pictures = [1, 0, 1, 0]
    middle = torch.stack([each[of][1][row] for row, of in enumerate(pictures)])
    down = [torch.stack([each[of][0][at][row] for row, of in enumerate(pictures)]) for at in range(len(each[0][0]))]
    with inject(unet(kind), person) as injection:
        injection.set_rows(rows)
        more: dict[str, Any] = {"down_block_additional_residuals": tuple(down), "mid_block_additional_residual": middle}
        expected = predicted(kind, 4, **more)
    assert relative(got, expected) < TOLERANCE


def test_forges_own_residuals_stay(world: World) -> None:
    """Those of its ControlNets, with gaps, and fewer than the UNet has maps."""
    kind, person = "forge", [world.contribution("forge")]
    down, middle = their_residuals(kind, given(kind)[2], 2)
    theirs: list[Tensor | None] = [None if at % 2 else one for at, one in enumerate(down)][4:]
    own = their_residuals(kind, context_of(world, kind))
    both = [own[0][at] + (0 if at < 4 or one is None else one) for at, one in enumerate([*[None] * 4, *theirs])]
    expected = with_residuals(kind, both, middle + own[1], person)
    with inject_guided(unet(kind), person, [world.guide(kind)]) as injection:
        injection.set_rows((0, 1))
        got = predicted(kind, control={"output": list(theirs), "middle": [middle], "input": []})
    assert relative(got, expected) < TOLERANCE


def test_others_residuals_stay(world: World) -> None:
    """A pipeline with a ControlNet of its own: both add up."""
    kind, person = "sdxl", [world.contribution("sdxl")]
    theirs = their_residuals(kind, given(kind)[2], 2)
    own = their_residuals(kind, context_of(world, kind))
    both = [a + b for a, b in zip(theirs[0], own[0], strict=True)]
    expected = with_residuals(kind, both, theirs[1] + own[1], person)
    with inject_guided(unet(kind), person, [world.guide(kind)]) as injection:
        injection.set_rows((0, 1))
        more: dict[str, Any] = {
            "down_block_additional_residuals": tuple(theirs[0]),
            "mid_block_additional_residual": theirs[1],
        }
        assert relative(predicted(kind, **more), expected) < TOLERANCE


def test_a_unet_whose_blocks_are_called_otherwise_is_noticed(world: World) -> None:
    """As Forge's descendants do: layer by layer."""
    kind = "ldm"
    model: Any = unet(kind)
    with inject_guided(model, [world.contribution(kind)], [world.guide(kind)]) as injection:
        injection.set_rows((0, 1))
        predicted(kind)
        assert injection.watch.unreached_calls == 0
        middle = model.middle_block
        bare = middle.forward
        model._modules["middle_block"] = replacement = nn.Module()
        replacement.forward = bare
        try:
            predicted(kind)
        finally:
            model._modules["middle_block"] = middle
        assert injection.watch.unreached_calls == 1


def residual_of(injection: GuidedInjection) -> Tensor:
    """The first residual of the call at hand."""
    assert injection._residuals
    return injection._residuals.down[0]


def test_nothing_of_a_net_leaks_out_of_its_region(world: World) -> None:
    kind = "sdxl"
    guides = [
        world.guide(kind, (1,), (1,), regions=(Region(PLACES["left"]),)),
        world.guide(kind, (2,), (2,), regions=(Region(PLACES["right"]),)),
    ]
    seen: dict[str, Tensor] = {}
    middle: Any = unet(kind).mid_block
    for name, used in (("left", guides[:1]), ("right", guides[1:]), ("both", guides)):
        with inject_guided(unet(kind), [world.contribution(kind)], used) as injection:
            injection.set_rows((0, 1))
            handle = middle.register_forward_hook(
                lambda *_, name=name, injection=injection: seen.__setitem__(name, residual_of(injection))
            )
            predicted(kind)
            handle.remove()
    half = LATENT // 2
    assert not seen["left"][..., half:].any()
    assert seen["left"][..., :half].abs().mean() > 1e-3
    assert not seen["right"][..., :half].any()
    assert torch.allclose(seen["both"], seen["left"] + seen["right"])


def test_a_view_shows_its_part_of_the_picture(world: World) -> None:
    view = Box(0.25, 0.25, 0.75, 0.75)
    kind, part = "sdxl", Spots(1).drawn((LATENT * 8, LATENT * 8), Box(0.25, 0.25, 0.75, 0.75))
    hints: list[Tensor] = []
    with inject_guided(unet(kind), [world.contribution(kind)], [world.guide(kind)], view) as injection:
        injection.set_rows((0, 1))
        predicted(kind)
        hints += next(iter(injection._nets[0]._hints._made.values()))
        network = net_file(world.file(kind)).network(unet(kind))
    with torch.no_grad():
        expected = network.hint(torch.from_numpy(part.copy()).permute(2, 0, 1)[None] / 255)
        other = network.hint(spots(1))
    assert relative(hints[0], expected) < TOLERANCE / 10
    assert relative(hints[0], other) > 10 * TOLERANCE


def test_pictures_are_drawn_once_for_all_steps(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[object] = []
    draw = Spots.drawn
    monkeypatch.setattr(Spots, "drawn", lambda self, *given: drawn.append(given) or draw(self, *given))
    with inject_guided(unet("sdxl"), [world.contribution("sdxl")], [world.guide("sdxl")]) as injection:
        injection.set_rows((0, 1))
        first, again = predicted("sdxl"), predicted("sdxl")
        assert injection.calls == 2
    assert torch.equal(first, again)
    assert len(drawn) == 1


def test_a_net_for_another_unet_is_refused_before_anything_is_drawn(world: World) -> None:
    guide = replace(world.guide("sdxl"), effect=replace(world.guide("sdxl").effect, net=net_file(world.file("ldm"))))
    before = snapshot(unet("sdxl"))
    with pytest.raises(
        MismatchError, match=r"net-ldm-3\S* is a ControlNet for another UNet: it has 64 channels, 12 maps"
    ):
        ours(world, "sdxl", [world.contribution("sdxl")], [guide])
    assert snapshot(unet("sdxl")) == before


def test_a_file_that_is_no_controlnet_is_refused(world: World, tmp_path: Path) -> None:
    path = tmp_path / "identitynet.safetensors"
    save_file({"a": torch.ones(2)}, path)
    with pytest.raises(FileError, match=r"identitynet\.safetensors is no ControlNet in diffusers' layout"):
        net_file(path).network(unet("sdxl"))
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(FileError, match="identitynet"):
        net_file(path).network(unet("sdxl"))


def products(run: Any) -> int:
    """How many floating-point operations of products and convolutions something takes."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def test_a_net_costs_its_own_network_and_nothing_else(world: World, measure: Measure) -> None:
    """From the second call on, when what it makes of its picture is known."""
    kind, person = "sdxl", [world.contribution("sdxl")]
    with inject(unet(kind), person) as injection:
        injection.set_rows((0, 1))
        alone = products(lambda: predicted(kind))
    latents, time, _ = given(kind)
    pooled = torch.zeros(2, 64 + 6 * 16)
    network = net_file(world.file(kind)).network(unet(kind))
    context = context_of(world, kind)
    with torch.no_grad():
        hint = network.hint(spots(1))
        own = products(lambda: network(latents, time, context, hint, pooled))
        drawing = products(lambda: network.hint(spots(1)))
    with inject_guided(unet(kind), person, [world.guide(kind)]) as injection:
        injection.set_rows((0, 1))
        first, second = products(lambda: predicted(kind)), products(lambda: predicted(kind))
    measure(unet=alone, net=own, both=second)
    assert second == alone + own
    assert first == second + drawing
    assert own > alone / 10
