"""People called from the prompt without a WebUI: on the command line, and on our own page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lib_faceid.app.resources import Resources
from lib_faceid.app.session import Session
from lib_faceid.commands.cli import main
from lib_faceid.errors import UnitError
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.models.folders import Roots
from lib_faceid.people.library import People
from lib_faceid.references.identity import Identity
from lib_faceid.units.unit import Unit

pytestmark = pytest.mark.usefixtures("no_network")
REQUEST = Request("a man, in a hat", "blurry", (64, 64), 2, 5, 7)
QUICK = ["--size", "64x64", "--steps", "2", "--cfg", "5", "--seed", "7", "--negative", "blurry"]


@pytest.fixture
def resources(
    tmp_path: Path,
    miniature_checkpoint: Callable[[str], Path],
    miniature_adapter: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Resources:
    """A machine with a checkpoint, an adapter and two saved people, and nothing else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("FACEID_MODELS", "FACEID_FACE_MODELS", "FACEID_CLIP_VISION"):
        monkeypatch.delenv(name, raising=False)
    found = {"Stable-diffusion": miniature_checkpoint("sd15"), "faceid": miniature_adapter("faceid", "sd15")}
    for kind, path in found.items():
        (tmp_path / "models" / kind).mkdir(parents=True)
        (tmp_path / "models" / kind / path.name).symlink_to(path)
    library = People(tmp_path / "models" / "faceid" / "faces")
    for seed, name in enumerate(("Anna", "Bert Öz"), 1):
        vector = torch.randn(1, 512, generator=torch.Generator().manual_seed(seed)) * 20
        library.save(name, Identity(vector, recogniser="w600k_r50"))
    return Resources(Roots(models=(tmp_path / "models",)))


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


def test_a_tag_on_the_command_line_draws_what_the_options_draw(resources: Resources, tmp_path: Path) -> None:
    options = ["generate", "--prompt", REQUEST.prompt, *QUICK]
    tags = "a man, in a hat <faceid:Anna:0.7:lora=0.3><faceid:bert öz>"
    people = ["--person", "Anna", "--weight", "0.7", "--lora", "0.3", "--and", "--person", "Bert Öz"]
    assert main([*options, *people, "--out", "by_options"]) == 0
    assert main([*options, "--person", "Anna", "--weight", "0", "--out", "without"]) == 0
    assert main(["generate", "--prompt", tags, *QUICK, "--out", "by_tags"]) == 0
    by_options, without, by_tags = (
        pixels(tmp_path / folder / "seed7.png") for folder in ("by_options", "without", "by_tags")
    )
    assert np.abs(by_tags - without).mean() > 1
    assert (by_tags == by_options).all()
    prompt, _, settings = Image.open(tmp_path / "by_tags" / "seed7.png").info["parameters"].split("\n")
    assert prompt == tags
    assert 'FaceID tag 0: "adapter: ip-adapter-faceid_sd15, variant: faceid, weight: 0.7, lora: 0.3, ' in settings
    assert "FaceID tag 1" in settings
    assert "FaceID 0" not in settings


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--prompt", "<faceid:Ana>"], "Did you mean <faceid:Anna:0.8>?"),
        (["--prompt", "x"], "or write <faceid:NAME> or <image:NAME> into the prompt"),
        (
            ["--prompt", "<faceid:Anna:hires=hires>"],
            "Prompt tag 0 (Anna): hires is 'hires', and there is one pass only",
        ),
        (["--prompt", "<faceid:Anna>", "--negative", "<faceid:Anna>"], "The negative prompt has a <faceid:...> tag"),
        (["--prompt", "<faceid:Anna>", "--weight", "1"], "Unit 0: Say who is to be drawn"),
    ],
)
def test_a_mistake_is_one_sentence(
    resources: Resources, arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", *QUICK, *arguments]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert sentence in said
    assert not (tmp_path / "out").exists()


def test_our_own_page_draws_the_units_and_whom_the_prompt_calls(resources: Resources) -> None:
    session, checkpoint = Session(resources), resources.find_checkpoint()
    anna, bert = (Unit(enabled=True, person=name) for name in ("Anna", "Bert Öz"))
    called = Request("a man, in a hat <faceid:Bert Öz>", *list(vars(REQUEST).values())[1:])
    (by_tag,) = session.draw(checkpoint, session.job([anna], called), [called])
    (by_unit,) = session.draw(checkpoint, session.job([anna, bert], REQUEST), [REQUEST])
    assert by_tag.image.tobytes() == by_unit.image.tobytes()
    assert by_tag.parameters.startswith("a man, in a hat <faceid:Bert Öz>\n")
    with pytest.raises(UnitError, match=r"Did you mean <faceid:Bert Öz:0\.8>"):
        session.job([anna], Request("<faceid:Bert Ös>"))
