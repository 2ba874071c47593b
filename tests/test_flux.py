"""FLUX.1 in every layout draws what diffusers draws; our own program draws with Redux; what is missing is said."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.loaders.single_file_utils import convert_flux_transformer_checkpoint_to_diffusers
from flux_mini import bfl_names, pipeline_of, write_flux_folder, write_redux, write_siglip
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from lib_faceid.app.beginnings import usual
from lib_faceid.app.resources import Resources
from lib_faceid.commands.cli import main
from lib_faceid.errors import FaceIDError, FileError, MissingModelError, UnitError, WrongFamilyError
from lib_faceid.hosts.diffusers.flux import FluxDrawing, load_flux
from lib_faceid.hosts.diffusers.flux_names import diffusers_names, unscaled
from lib_faceid.hosts.diffusers.measured import measured
from lib_faceid.hosts.diffusers.offload import ROOM, offload_for
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.models.folders import Roots

pytestmark = pytest.mark.usefixtures("no_network")

SMALL = Request("a photo of a cat", size_px=(64, 64), steps=2, cfg=3.5, seed=4)
PREFIX = "model.diffusion_model."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_flux_folder(tmp_path_factory.mktemp("flux") / "FLUX.1-mini")


@pytest.fixture(scope="module")
def transformer(folder: Path) -> dict[str, Tensor]:
    """By black-forest-labs' names."""
    return bfl_names(load_file(folder / "transformer" / "diffusion_pytorch_model.safetensors"))


@pytest.fixture(scope="module")
def parts(folder: Path) -> dict[str, dict[str, Tensor]]:
    """The other parts as files of their own, by what they are best called."""
    t5 = load_file(folder / "text_encoder_2" / "model.safetensors")
    vae = load_file(folder / "vae" / "diffusion_pytorch_model.safetensors")
    return {
        "text_encoder/t5xxl_fp16": {name: t for name, t in t5.items() if "embed_tokens" not in name},
        "text_encoder/clip_l": load_file(folder / "text_encoder" / "model.safetensors"),
        "VAE/ae": {_ldm_vae(name): t.view(*t.shape, 1, 1) if _is_attention(name, t) else t for name, t in vae.items()},
    }


def _is_attention(name: str, tensor: Tensor) -> bool:
    return "attentions" in name and "group_norm" not in name and tensor.ndim == 2


def _ldm_vae(name: str) -> str:
    """A VAE's tensor as Stability names it, for two levels of two blocks."""
    for ours, theirs in (
        ("conv_norm_out", "norm_out"), ("mid_block.resnets.0", "mid.block_1"), ("mid_block.resnets.1", "mid.block_2"),
        ("mid_block.attentions.0.group_norm", "mid.attn_1.norm"), ("mid_block.attentions.0.to_q", "mid.attn_1.q"),
        ("mid_block.attentions.0.to_k", "mid.attn_1.k"), ("mid_block.attentions.0.to_v", "mid.attn_1.v"),
        ("mid_block.attentions.0.to_out.0", "mid.attn_1.proj_out"), ("down_blocks.", "down."),
        ("up_blocks.0.", "up.1."), ("up_blocks.1.", "up.0."), (".resnets.", ".block."),
        ("conv_shortcut", "nin_shortcut"),
        ("downsamplers.0", "downsample"), ("upsamplers.0", "upsample"),
    ):  # fmt: skip
        name = name.replace(ours, theirs)
    return name


def write_models(models: Path, folder: Path, parts: Mapping[str, dict[str, Tensor]]) -> Roots:
    """The parts where Forge has them, T5's vocabulary with them."""
    for name, state in parts.items():
        path = models / f"{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({key: tensor.contiguous() for key, tensor in state.items()}, path)
    shutil.copytree(folder / "tokenizer_2", models / "text_encoder" / "tokenizer_2")
    return Roots(models=(models,))


def pixels(drawing: FluxDrawing, request: Request = SMALL) -> np.ndarray:
    return np.asarray(drawing.draw(request)).astype(int)


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    """To a rounding: where a file's tensors lie in memory decides which kernels add them up."""
    assert np.abs(found - expected).max() <= 1


@pytest.fixture(scope="module")
def plain(folder: Path) -> np.ndarray:
    """What diffusers alone draws."""
    drawn: Any = pipeline_of(folder)(
        prompt=SMALL.prompt, width=64, height=64, num_inference_steps=2, guidance_scale=3.5, output_type="np",
        generator=torch.Generator("cpu").manual_seed(SMALL.seed),
    )  # fmt: skip
    return (drawn.images[0] * 255).round().astype(int)


def test_a_folder_draws_what_diffusers_draws(folder: Path, plain: np.ndarray) -> None:
    drawing = load_flux(folder, Roots())
    assert (drawing.name, drawing.family, measured(folder)) == ("FLUX.1-mini", "FLUX.1", (4096, ()))
    looks: list[Any] = []
    found = np.asarray(drawing.draw(SMALL, after_step=lambda step, look: looks.append((step, look().size))))
    assert np.array_equal(found, plain)
    assert looks == [(1, (64, 64)), (2, (64, 64))]


@pytest.mark.parametrize("prefix", ["", PREFIX])
def test_one_file_draws_the_same_with_the_parts_of_other_files(
    prefix: str, folder: Path, transformer: dict[str, Tensor], parts: Any, plain: np.ndarray, tmp_path: Path
) -> None:
    file = tmp_path / "flux1-dev.safetensors"
    save_file({prefix + name: tensor for name, tensor in transformer.items()}, file)
    roots = write_models(tmp_path / "models", folder, parts)
    assert measured(file) == (4096, ())
    assert_same(pixels(load_flux(file, roots)), plain)


def test_one_file_with_all_parts(
    folder: Path, transformer: dict[str, Tensor], parts: Any, plain: np.ndarray, tmp_path: Path
) -> None:
    whole = {PREFIX + name: tensor for name, tensor in transformer.items()}
    for name, prefix in (("text_encoder/t5xxl_fp16", "text_encoders.t5xxl.transformer."), ("VAE/ae", "vae."),
                         ("text_encoder/clip_l", "text_encoders.clip_l.transformer.")):  # fmt: skip
        whole |= {prefix + key: tensor.contiguous() for key, tensor in parts[name].items()}
    save_file(whole, tmp_path / "flux1-dev-fp8.safetensors")
    roots = write_models(tmp_path / "models", folder, {})
    assert_same(pixels(load_flux(tmp_path / "flux1-dev-fp8.safetensors", roots)), plain)


def test_what_a_file_lacks_may_lie_in_a_diffusers_folder(
    folder: Path, transformer: dict[str, Tensor], plain: np.ndarray, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "models" / "Stable-diffusion" / "FLUX.1-mini")
    file = tmp_path / "flux1-dev.safetensors"
    save_file(transformer, file)
    assert_same(pixels(load_flux(file, Roots(models=(tmp_path / "models",)))), plain)


def test_what_is_missing_is_said_with_its_place(
    folder: Path, transformer: dict[str, Tensor], parts: Any, tmp_path: Path
) -> None:
    file = tmp_path / "flux1-dev.safetensors"
    save_file(transformer, file)
    models = tmp_path / "models"
    with pytest.raises(MissingModelError) as caught:
        load_flux(file, Roots(models=(models,)))
    for label, place in (("T5-XXL", "text_encoder/t5xxl_fp16"), ("CLIP-L", "text_encoder/clip_l"), ("VAE", "VAE/ae")):
        assert f"{label} ({models / place}.safetensors)" in str(caught.value)
    roots = write_models(models, folder, parts)
    shutil.rmtree(models / "text_encoder" / "tokenizer_2")
    with pytest.raises(MissingModelError, match=r"T5's vocabulary is not here.*put the folder tokenizer_2"):
        load_flux(file, roots)


@pytest.mark.parametrize("scaled", ["", "scale_weight", "weight_scale"])
def test_8_bits(scaled: str) -> None:
    eights = {"a.weight": torch.tensor([1.0, -2.0]).to(torch.float8_e4m3fn), "a.bias": torch.ones(1)}
    state = eights | ({f"a.{scaled}": torch.tensor(0.5), "a.scale_input": torch.tensor(9.0)} if scaled else {})
    found = unscaled(state | {"scaled_fp8": torch.zeros(0)}, torch.float32)
    assert found.keys() == {"a.weight", "a.bias"}
    assert found["a.weight"].tolist() == ([0.5, -1.0] if scaled else [1.0, -2.0])
    with pytest.raises(WrongFamilyError, match="in 4 bits"):
        unscaled({"a.weight.absmax": torch.ones(1)}, torch.float32)


def test_names_are_those_of_diffusers_own_converter() -> None:
    """Of the published width, which theirs alone knows; the inner dimension of each matrix may be 1."""
    wide = {"attention_head_dim": 128, "num_attention_heads": 24, "axes_dims_rope": (16, 56, 56)}
    with torch.device("meta"):
        shapes = flux_like(wide)
    state = {name: torch.arange(shape[0]).float().view(-1, *[1] * (len(shape) - 1)) for name, shape in shapes.items()}
    theirs = convert_flux_transformer_checkpoint_to_diffusers(dict(state))
    ours = diffusers_names(state)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def flux_like(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel

    network = FluxTransformer2DModel(num_layers=1, num_single_layers=1, guidance_embeds=True, **config)
    return {name: tuple(tensor.shape) for name, tensor in bfl_names(network.state_dict()).items()}


def test_damaged_and_other_checkpoints(folder: Path, transformer: dict[str, Tensor], tmp_path: Path) -> None:
    def refused(kind: type[FaceIDError], state: dict[str, Tensor]) -> str:
        """The sentence."""
        save_file(state, tmp_path / "a.safetensors")
        with pytest.raises(kind) as caught:
            measured(tmp_path / "a.safetensors")
        return str(caught.value)

    half = {name: tensor for name, tensor in transformer.items() if name != "txt_in.weight"}
    assert "no whole FLUX.1" in refused(FileError, half)
    fill = transformer | {"img_in.weight": torch.zeros(32, 96)}
    assert "reads a picture beside the prompt" in refused(WrongFamilyError, fill)
    with pytest.raises(WrongFamilyError, match=r"is a folder, and no FLUX\.1"):
        measured(tmp_path)
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    shutil.rmtree(broken / "vae")
    with pytest.raises(FileError, match=r"broken is no whole FLUX\.1 checkpoint"):
        load_flux(broken, Roots())


def test_what_it_cannot_draw_is_said(folder: Path) -> None:
    drawing = load_flux(folder, Roots())
    with pytest.raises(UnitError, match="without a negative side"):
        drawing.draw(Request("a cat", "a dog"))
    odd = Request("a cat")
    object.__setattr__(odd, "size_px", (66, 66))  # the published VAE makes it 16: 72x72, say
    with pytest.raises(UnitError, match=r"FLUX\.1 draws multiples of 4"):
        drawing.draw(odd)


def test_where_it_waits() -> None:
    big, small = 24 * 1024**3, 10 * 1024**3
    assert [offload_for([big, small], free * 1024**3) for free in (80, 30, 12)] == ["none", "network", "layer"]
    assert offload_for([big, small], big + small + ROOM) == "none"


# ------------------------------------------------------------------------------------------------------ our own program
def test_the_command_line_draws_with_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8))
    photo.save("style.png")
    asked = ["generate", "--checkpoint", str(folder), "--photo", "style.png", "--purpose", "image", "--seed", "4"]
    asked += ["--prompt", SMALL.prompt, "--size", "64x64", "--steps", "2"]
    assert main(asked) != 0
    assert "No FLUX Redux adapter for FLUX.1 was found" in capsys.readouterr().err
    write_redux(tmp_path / "models" / "faceid" / "flux1-redux-dev.safetensors")
    assert main(asked) != 0
    assert "The image encoder SigLIP so400m (0.9 GB) is not here" in capsys.readouterr().err
    write_siglip(tmp_path / "models" / "clip_vision" / "sigclip_vision_patch14_384.safetensors")
    for more in ([], ["--weight", "0"], ["--detail", "27", "--weight", "1", "--end", "0.5"], ["--region", "left"]):
        assert main([*asked, *more]) == 0
    said = capsys.readouterr().out
    assert "FLUX Redux carries the style and composition of an image, not the identity of anybody in it." in said
    assert "detail 27 · steps 1-1 of 2 · in the context" in said
    names = ("seed4.png", "seed4-2.png", "seed4-3.png", "seed4-4.png")
    drawn, off, half, left = (np.asarray(Image.open(Path("out", name))).astype(int) for name in names)
    assert "Sampler: Euler, CFG scale: 3.5" in Image.open(Path("out", "seed4.png")).info["parameters"]
    assert min(np.abs(one - off).mean() for one in (drawn, half, left)) > 0.3
    differ = np.abs(left - off).mean(axis=(0, 2))
    assert differ[:32].mean() > 2 * differ[32:].mean()
    assert main([*asked, "--photo", "style.png"]) == 0
    assert "The 2 images are averaged place by place. Set combine to 'concatenate'" in capsys.readouterr().out


def test_off_is_the_picture_without(folder: Path, plain: np.ndarray) -> None:
    drawing = load_flux(folder, Roots())
    assert np.array_equal(pixels(drawing), plain)
    assert not vars(drawing.unet)["_forward_pre_hooks"]


def test_checkpoints_of_flux_are_listed_once(folder: Path, transformer: dict[str, Tensor], tmp_path: Path) -> None:
    inside = tmp_path / "Stable-diffusion"
    shutil.copytree(folder, inside / "FLUX.1-mini")
    save_file(transformer, inside / "flux1-dev.safetensors")
    resources = Resources(Roots(models=(tmp_path,)))
    assert resources.checkpoints() == {
        "flux1-dev": inside / "flux1-dev.safetensors", "FLUX.1-mini": inside / "FLUX.1-mini",
    }  # fmt: skip
    assert [resources.family(name) for name in resources.checkpoints()] == [4096, 4096]
    assert (usual(folder).steps, usual(folder).cfg) == (28, 3.5)
    save_file({k: t for k, t in transformer.items() if "guidance" not in k}, inside / "schnell.safetensors")
    assert (usual(inside / "schnell.safetensors").steps, usual(inside / "schnell.safetensors").cfg) == (4, 0)
