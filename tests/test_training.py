"""The training of the miniature: its networks are the published ones, and a run can be stopped anywhere."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from contributions import contribution
from torch import Tensor, nn

from lib_faceid.effects.injection import inject
from lib_faceid.effects.lora import merge_lora
from lib_faceid.methods.loading import load_adapter
from lib_faceid.miniature.adapter import SMALL, adapter_shapes
from lib_faceid.miniature.sizes import MINIATURE
from lib_faceid.miniature.trained import LORA_RANK, RECOGNISER, TRAINED, write_trained_checkpoint
from lib_faceid.miniature.tree import flatten
from lib_faceid.miniature.unet import unet_tree
from lib_faceid.miniature.vae import vae_tree
from lib_faceid.references.identity import Identity
from lib_faceid.unet.regions import Region
from lib_faceid.units.region import column
from training.adapter import FaceAdapter
from training.attention import Prompts
from training.captions import encode
from training.curves import draw_curves
from training.export import export
from training.loop import Plan, Stopped, generator_of, train
from training.plus import PlusNetworks
from training.recogniser import Recogniser
from training.sampling import ALPHAS
from training.together import Meeting
from training.unet import UNet
from training.vae import SCALE, VAE

SIZES = {"trained": TRAINED, "miniature": MINIATURE["sd15"]}


def shapes_of(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("size", SIZES)
def test_names_and_shapes_are_the_published_ones(size: str) -> None:
    sizes = SIZES[size]
    with torch.device("meta"):
        unet, vae, adapter = UNet(sizes.unet), VAE(sizes.vae), FaceAdapter(sizes.unet, LORA_RANK)
    assert shapes_of(unet) == flatten(unet_tree(sizes.unet))
    assert shapes_of(vae) == flatten(vae_tree(sizes.vae))
    assert shapes_of(adapter) == adapter_shapes("faceid", sizes.unet, LORA_RANK, SMALL)


def test_the_parts_fit_into_the_repository() -> None:
    with torch.device("meta"):
        networks = UNet(TRAINED.unet), VAE(TRAINED.vae), FaceAdapter(TRAINED.unet, LORA_RANK), PlusNetworks()
    numbers = sum(tensor.numel() for network in networks for tensor in network.state_dict().values())
    assert 2 * numbers < 29.8e6  # bytes; the names take 0.1 MB


class Trained:
    """The three networks with random weights that float16 holds exactly, and the files that they are written to."""

    def __init__(self, folder: Path) -> None:
        torch.manual_seed(0)
        self.unet, self.vae = UNet(TRAINED.unet), VAE(TRAINED.vae)
        self.adapter = FaceAdapter(TRAINED.unet, LORA_RANK)
        for network in (self.unet, self.vae, self.adapter):
            for tensor in network.parameters():
                if not tensor.any():  # what starts as nothing would hide mistakes
                    nn.init.normal_(tensor, std=0.05)
                tensor.data = tensor.data.half().float()
        *_, self.adapter_path = export(folder, self.vae, self.unet, self.adapter)
        self.checkpoint = write_trained_checkpoint(folder / "miniature.safetensors", folder)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(tmp_path_factory.mktemp("trained"))


@torch.no_grad()
def test_what_was_trained_is_what_hosts_compute(trained: Trained) -> None:
    """diffusers loads the files and gives the same pictures, latents, contexts and noise; so does our injection."""
    from lib_faceid.hosts.diffusers.checkpoint import load_parts

    parts = load_parts(trained.checkpoint).modules
    pictures = torch.rand(2, 3, 64, 48) * 2 - 1
    latents = parts["vae"].encode(pictures).latent_dist.mean
    torch.testing.assert_close(trained.vae.encode(pictures), latents, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(trained.vae.decode(latents), parts["vae"].decode(latents).sample, atol=1e-4, rtol=1e-4)

    text = "a photo of a person, red background"
    tokens = parts["tokenizer"](text, padding="max_length", max_length=77, return_tensors="pt")
    context = parts["text_encoder"](tokens.input_ids).last_hidden_state
    torch.testing.assert_close(encode([text]), context, atol=1e-4, rtol=1e-4)

    x, times, unet = torch.randn(2, 4, 16, 8), torch.tensor([7, 900]), parts["unet"]
    prompts, contexts = Prompts(context, torch.tensor([0, 0])), context.expand(2, -1, -1)
    plain = unet(x, times, contexts).sample
    torch.testing.assert_close(trained.unet(x, times, prompts), plain, atol=1e-4, rtol=1e-4)

    vector, adapter = torch.randn(1, 512), load_adapter(trained.adapter_path)
    one = contribution(adapter, (Identity.from_embedding(vector[0]),), weight=0.7)
    with merge_lora(unet, adapter, 0.6), inject(unet, [one]) as injection:
        injection.set_rows([1, 0])
        wanted = unet(x, times, contexts).sample
    identities = torch.stack((vector, torch.zeros(1, 512)))
    faces = trained.adapter.faces(identities, 0.7, 0.6)
    found = trained.unet(x, times, prompts, trained.adapter, faces)
    torch.testing.assert_close(found, wanted, atol=1e-3, rtol=1e-3)
    assert (found - plain).abs().mean() > 0.01
    assert adapter.recogniser == RECOGNISER


@torch.no_grad()
def test_two_people_are_trained_where_regions_put_them(trained: Trained) -> None:
    from lib_faceid.hosts.diffusers.checkpoint import load_parts

    unet, adapter = load_parts(trained.checkpoint).modules["unet"], load_adapter(trained.adapter_path)
    x, times, context = torch.randn(1, 4, 16, 32), torch.tensor([500]), torch.randn(1, 77, 768)
    vectors = torch.randn(2, 512)
    contributions = [
        contribution(adapter, (Identity.from_embedding(vector),), weight=0.7, regions=(Region(column(at, 2)),))
        for at, vector in enumerate(vectors)
    ]
    with merge_lora(unet, adapter, 0.6), inject(unet, contributions) as injection:
        injection.set_rows([1])
        wanted = unet(x, times, context).sample
    faces = trained.adapter.faces(vectors[None], 0.7, 0.6)
    found = trained.unet(x, times, Prompts(context, torch.tensor([0])), trained.adapter, faces)
    torch.testing.assert_close(found, wanted, atol=1e-3, rtol=1e-3)
    other = trained.adapter.faces(vectors[None].flip(1), 0.7, 0.6)
    swapped = trained.unet(x, times, Prompts(context, torch.tensor([0])), trained.adapter, other)
    assert (swapped - found).abs().mean() > 0.01


def test_the_noise_schedule_is_diffusers_own() -> None:
    from lib_faceid.hosts.diffusers.checkpoint import _scheduler

    torch.testing.assert_close(ALPHAS, _scheduler(predicts_v=False).alphas_cumprod)


@torch.no_grad()
def test_folding_changes_latents_and_not_pictures() -> None:
    torch.manual_seed(0)
    vae, pictures = VAE(TRAINED.vae), torch.rand(2, 3, 32, 32)
    before, picture = vae.encode(pictures), vae.decode(vae.encode(pictures))
    mean, std = torch.tensor([1.0, -2, 0.5, 0]), torch.tensor([0.5, 2, 1, 3])
    vae.fold(mean, std, 0.1)
    wanted = (before - mean[:, None, None]) / std[:, None, None]
    torch.testing.assert_close(vae.encode(pictures) * SCALE, wanted, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(vae.decode(vae.encode(pictures)), picture, atol=1e-4, rtol=1e-4)


def trained_line(folder: Path, *, stop_at: int | None = None) -> nn.Module:
    """A line through noisy points, learnt in six steps, or fewer where SIGTERM comes."""
    torch.manual_seed(1)
    line = nn.Linear(3, 1)
    plan = Plan("line", steps=6, learning_rate=0.1, ema=0.9, warmup=2, evaluate_every=3)

    def losses(generator: torch.Generator, step: int) -> dict[str, Tensor]:
        if step == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        x = torch.randn(8, 3, generator=generator)
        return {"square": (line(x) - x.sum(1, keepdim=True)).square().mean()}

    def evaluate(mean: nn.Module, step: int) -> dict[str, float]:
        return {"weight": float(next(mean.parameters()).mean())}

    return train(line, plan, folder, losses, evaluate)


def test_a_stopped_run_ends_where_an_uninterrupted_one_does(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        whole = trained_line(tmp_path / "whole")
        with pytest.raises(Stopped, match="after 3 of 6"):
            trained_line(tmp_path / "parts", stop_at=2)
        parts = trained_line(tmp_path / "parts")
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), parts.parameters(), strict=True))
    draw_curves(tmp_path / "parts" / "line.jsonl", tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000


def test_processes_that_train_together_meet_in_the_middle(tmp_path: Path) -> None:
    first, second = nn.Linear(2, 1), nn.Linear(2, 1)
    for network, value in ((first, 1.0), (second, 3.0)):
        for parameter in network.parameters():
            nn.init.constant_(parameter, value)
    meetings = [Meeting(tmp_path / "common", network) for network in (first, second)]
    meetings[1].after(7)
    meetings[0].after(8)
    meetings[1].after(8)
    assert all((parameter == 1).all() for parameter in first.parameters()), "nobody else has been there"
    assert all((parameter == 2).all() for parameter in second.parameters())
    meetings[0].after(16)
    assert all((parameter == 1.5).all() for parameter in first.parameters())


def test_each_step_draws_its_own_numbers() -> None:
    first, again, other = (torch.rand(4, generator=generator_of(0, "x", step)) for step in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_recogniser_in_torch_is_the_recogniser(face_models: Path, data_folder: Path) -> None:
    from lib_faceid.faces.analyser import load_face_analyser
    from lib_faceid.faces.crops import aligned
    from lib_faceid.pictures.photo import read_photo

    photo = read_photo(data_folder / "photos" / "astronaut.png")
    face = load_face_analyser(face_models).detect(photo)[0]
    recogniser = Recogniser(next(face_models.glob("w600k_mbf*.onnx")))
    found = recogniser.embedding(aligned(photo, face.points, 112))
    np.testing.assert_allclose(found, face.id_embedding, atol=1e-3)
