"""FLUX.1 in Forge, played: whose the rows are, what is refused by name, and that nothing stays behind."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import flux_integrated
import pytest
import torch
from flux_cases import CASES, TEXTS, WIDTH, called, drawn, inputs, made
from flux_mini import bfl_names, flux_transformer
from played_forge import Patcher, played_forge
from played_forge import drawn as step_drawn
from torch import Tensor, nn

from lib_faceid.effects.context import inject_context
from lib_faceid.errors import HostError

WEIGHTED, TWO_IMAGES = CASES["a weight"], CASES["an image each"]


@pytest.fixture(scope="module")
def transformer() -> nn.Module:
    return made(flux_integrated.Transformer, bfl_names(flux_transformer(WIDTH, (2, 2)).state_dict()))


@pytest.fixture
def forge(transformer: nn.Module, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A Forge that has FLUX.1 built in, with [dev] loaded."""
    with played_forge(monkeypatch, transformer, "backend", "backend.nn", "backend.nn.flux") as found:
        found.package.shared.sd_model.sd_checkpoint_info = SimpleNamespace(name="flux1-dev.safetensors")
        yield found


@pytest.mark.parametrize("cfg", [1, 4])
def test_the_negative_side_comes_alone_and_as_it_is(forge: Any, transformer: nn.Module, cfg: int) -> None:
    given = inputs(TWO_IMAGES)
    more = {name: given[name] for name in ("y", "guidance")}
    x, cond = given["x"], given["context"]
    uncond = None if cfg == 1 else torch.randn(2, TEXTS, WIDTH, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        bare, alone = (
            transformer(x, torch.full((2,), 500), context=one, **more) for one in (cond, cond if cfg == 1 else uncond)
        )
    with inject_context(transformer, TWO_IMAGES.readings) as injection:
        injection.set_rows([1, 2])
        with torch.no_grad():
            expected = transformer(x, torch.full((2,), 500), context=cond, **more)
        injection.set_rows(None)
        with forge.engine.rows(None, cast("Any", None), SimpleNamespace(x=x, text_cond={"crossattn": cond}), injection):
            found = step_drawn(forge.objects.unet, x, [cond], uncond, 1, **more)
    assert [len(one) for one in found] == ([2] if cfg == 1 else [2, 2])
    assert torch.equal(found[0], expected)
    assert (found[0] - bare).abs().max() > 1e-2
    if cfg > 1:
        assert torch.equal(found[1], alone)


def test_flux_is_drawn_where_forge_has_it(forge: Any) -> None:
    forge.engine.check()
    assert "context" in forge.engine.carries


def test_what_reads_a_picture_besides_is_refused_by_name(
    forge: Any, transformer: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = forge.package.shared.sd_model
    model.sd_checkpoint_info.name = "flux1-Kontext-dev.safetensors"
    with pytest.raises(HostError, match=r"reads a picture beside the prompt \(Kontext\).*Choose FLUX.1 \[dev\]"):
        forge.engine.check()
    monkeypatch.setattr(transformer, "in_channels", 96)
    with pytest.raises(HostError, match="Fill, Depth or Canny"):
        forge.engine.check()


def test_other_kinds_are_refused_by_name(forge: Any, transformer: nn.Module) -> None:
    chroma = nn.Module()
    for name in ("txt_in", "double_blocks", "single_blocks"):
        chroma.add_module(name, transformer.get_submodule(name))
    chroma.add_module("distilled_guidance_layer", nn.Identity())
    objects = SimpleNamespace(unet=Patcher(chroma))
    forge.package.shared.sd_model = type("Chroma", (), {"forge_objects": objects})()
    with pytest.raises(HostError, match=r"FLUX.1 \[dev\] and \[schnell\]; the checkpoint that is loaded is Chroma"):
        forge.engine.check()


@pytest.mark.parametrize("others", [(), ("backend",), ("backend", "backend.nn")])
def test_a_forge_without_flux_refuses_it(
    transformer: nn.Module, monkeypatch: pytest.MonkeyPatch, others: tuple[str, ...]
) -> None:
    with played_forge(monkeypatch, transformer, *others) as forge:
        assert "context" not in forge.engine.carries
        with pytest.raises(HostError, match=r"exists for SD 1\.5 and SDXL; the checkpoint that is loaded is"):
            forge.engine.check()


class FailingError(Exception):
    """What a block raises."""


def failing(*_: Any) -> None:
    raise FailingError


def test_the_attention_is_forges_own_again_whatever_fails(transformer: nn.Module) -> None:
    own, plain = flux_integrated.attention_function, called(transformer, WEIGHTED)
    handle = cast("Any", transformer).single_blocks[1].register_forward_pre_hook(failing)
    with pytest.raises(FailingError):
        drawn(transformer, WEIGHTED)
    handle.remove()
    assert flux_integrated.attention_function is own
    assert torch.equal(called(transformer, WEIGHTED), plain)


def test_what_stands_in_the_way_is_said(transformer: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    attended = flux_integrated._attended

    def masked(q: Tensor, k: Tensor, v: Tensor, _angles: Tensor) -> Tensor:
        return flux_integrated.attention_function(q, k, v, q.shape[1], torch.zeros(1), skip_reshape=True)

    def longer(q: Tensor, k: Tensor, v: Tensor, angles: Tensor) -> Tensor:
        q, k, v, angles = (torch.cat([one, one[:, :, :3]], 2) for one in (q, k, v, angles))
        return attended(q, k, v, angles)

    with inject_context(transformer, WEIGHTED.readings) as injection:
        injection.set_rows([1])
        for wrong, sentence in ((masked, "Somebody else masks"), (longer, r"such as a picture to change \(Kontext\)")):
            monkeypatch.setattr(flux_integrated, "_attended", wrong)
            with pytest.raises(HostError, match=sentence):
                called(transformer, WEIGHTED)


def test_an_attention_that_is_not_forges_is_no_step_with_the_image(
    transformer: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody took another function before: the tokens are in, but not as weakly as was asked for."""
    own = flux_integrated.attention_function
    monkeypatch.setattr(flux_integrated, "_attended", lambda q, k, v, _: own(q, k, v, q.shape[1], skip_reshape=True))
    with inject_context(transformer, WEIGHTED.readings) as injection:
        injection.set_rows([1])
        called(transformer, WEIGHTED)
        assert injection.calls == 0, "which the job says"


def test_a_transformer_without_a_known_attention_draws_at_weight_1(
    transformer: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = CASES["as trained"]
    expected = drawn(transformer, trained)
    monkeypatch.delattr(flux_integrated, "attention_function")
    own = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        flux_integrated, "_attended", lambda q, k, v, angles: own(
            flux_integrated._turned(q, angles), flux_integrated._turned(k, angles), v
        ).transpose(1, 2).flatten(2),
    )  # fmt: skip
    assert (drawn(transformer, trained) - expected).abs().max() <= 1e-6
    with pytest.raises(HostError, match=r"attention is not where Forge has it.*Set the weight to 1 without a region"):
        drawn(transformer, WEIGHTED)
