"""The command line, from the arguments to the files and sentences that come out."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lib_faceid.app import resources as standalone
from lib_faceid.commands.cli import main
from lib_faceid.hosts.diffusers.pipeline import Pipeline
from lib_faceid.miniature import folder as miniature_models
from lib_faceid.people.library import People
from lib_faceid.pictures.photo import read_photo
from lib_faceid.references.analysis import analyse
from lib_faceid.references.identity import Identity
from lib_faceid.references.record import read_record

PROJECT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.usefixtures("no_network", "loaded_once")


@pytest.fixture(autouse=True)
def a_machine_without_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("FACEID_MODELS", "FACEID_FACE_MODELS", "FACEID_CLIP_VISION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def somebody(tmp_path: Path) -> str:
    """A saved identity."""
    path = tmp_path / "somebody.safetensors"
    Identity(torch.randn(1, 512, generator=torch.Generator().manual_seed(1)) * 20, recogniser="a test").save(path)
    return str(path)


@pytest.fixture
def models(miniature_checkpoint: Callable[[str], Path], miniature_adapter: Callable[..., Path]) -> list[str]:
    """The arguments that name a checkpoint and an adapter."""
    return ["--checkpoint", str(miniature_checkpoint("sd15")), "--adapter", str(miniature_adapter("faceid", "sd15"))]


QUICK = ["--prompt", "a man, in a hat", "--size", "64x64", "--steps", "2", "--seed", "5"]


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


def test_pictures_say_how_they_were_made(
    somebody: str, models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "--identity", somebody, *models, *QUICK, "--negative", "blurry", "--count", "2"]) == 0
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert files == ["seed5.png", "seed6.png"]
    prompt, negative, settings = Image.open(tmp_path / "out" / "seed5.png").info["parameters"].split("\n")
    assert (prompt, negative) == ("a man, in a hat", "Negative prompt: blurry")
    assert settings.startswith(
        "Steps: 2, Sampler: DDIM, CFG scale: 7, Seed: 5, Size: 64x64, Model: miniature_sd15, "
        'FaceID 0: "adapter: ip-adapter-faceid_sd15, variant: faceid, weight: 0.8, '
    )
    assert "somebody" not in settings
    said = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("The recogniser is a test")]
    assert said[0].startswith("Checkpoint: ")
    assert said[1] == "Adapter: ip-adapter-faceid_sd15 (FaceID)"
    assert [line.split(" (")[0] for line in said[2:4]] == ["out/seed5.png", "out/seed6.png"]
    assert said.pop(4).startswith("The likeness of the pictures was not looked at: There are no face models.")
    assert said[4].startswith(
        "FaceID 0: ip-adapter-faceid_sd15 (FaceID) · 1 face · weight 0.80 · LoRA 0.60 · steps 1-2"
    )
    assert len(said) == 5


def test_a_seed_decides_and_no_picture_is_overwritten(somebody: str, models: list[str], tmp_path: Path) -> None:
    for weight in ("0.8", "0.8", "0"):
        assert main(["generate", "--identity", somebody, *models, *QUICK, "--weight", weight]) == 0
    first, again, without = (pixels(tmp_path / "out" / f"seed5{number}.png") for number in ("", "-2", "-3"))
    assert (first == again).all()
    assert np.abs(first - without).mean() > 1


def test_a_photo_is_drawn_and_only_its_hash_is_kept(
    face_models: Path, data_folder: Path, models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = data_folder / "photos" / "Bryan.png"
    assert main(["generate", "--photo", str(photo), "--face-models", str(face_models), *models, *QUICK]) == 0
    settings = Image.open(tmp_path / "out" / "seed5.png").info["parameters"]
    analyser = standalone.load_face_analyser(face_models)
    assert f"refs: {analyse(read_photo(photo), analyser).sha256[:8]}" in settings
    assert "Bryan" not in settings + capsys.readouterr().out


def test_two_people_in_one_picture(
    somebody: str,
    face_models: Path,
    data_folder: Path,
    models: list[str],
    miniature_adapter: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each with an adapter and settings of its own; what is neither unit's own is for both."""
    first = ["--identity", somebody, "--weight", "0.7"]
    portrait, photo = str(miniature_adapter("portrait", "sd15")), str(data_folder / "photos" / "Chris.jpeg")
    second = ["--photo", photo, "--adapter", portrait, "--end", "0.5", "--face-models", str(face_models)]
    for people in (first, [*first, "--and", *second]):
        assert main(["generate", *models, *QUICK, *people]) == 0
    said = capsys.readouterr().out
    assert "Adapter of FaceID 1: ip-adapter-faceid-portrait_sd15 (FaceID Portrait)" in said
    assert "FaceID 0: ip-adapter-faceid_sd15 (FaceID) · 1 face · weight 0.70 · LoRA 0.60 · steps 1-2 of 2" in said
    assert "FaceID 1: ip-adapter-faceid-portrait_sd15 (FaceID Portrait) · 1 face · weight 0.80 · steps 1-1 of 2" in said
    settings = Image.open(tmp_path / "out" / "seed5-2.png").info["parameters"]
    assert 'FaceID 1: "adapter: ip-adapter-faceid-portrait_sd15, variant: portrait, weight: 0.8, end: 0.5' in settings
    one, both = (pixels(tmp_path / "out" / f"seed5{number}.png") for number in ("", "-2"))
    assert np.abs(one - both).mean() > 0.5


def test_a_saved_person_is_called_by_name(
    somebody: str, models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    People(tmp_path / "faces").save("Anna", Identity.load(Path(somebody)))
    library = ["--faces", str(tmp_path / "faces")]
    assert main(["generate", "--person", "Anna", *library, *models, *QUICK]) == 0
    assert main(["generate", "--person", somebody, *models, *QUICK]) == 0
    assert (pixels(tmp_path / "out" / "seed5.png") == pixels(tmp_path / "out" / "seed5-2.png")).all()
    assert main(["generate", "--person", "Anne", *library, *models, *QUICK]) == 2
    assert "There is no saved person 'Anne'. Saved: Anna." in capsys.readouterr().err


def test_models_in_the_usual_places_are_found(
    somebody: str,
    miniature_checkpoint: Callable[[str], Path],
    miniature_adapter: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for kind, path in (
        ("Stable-diffusion", miniature_checkpoint("sdxl")),
        ("faceid", miniature_adapter("faceid", "sd15")),
        ("faceid", miniature_adapter("portrait", "sdxl")),
    ):
        (tmp_path / "models" / kind).mkdir(parents=True, exist_ok=True)
        (tmp_path / "models" / kind / path.name).symlink_to(path)
    assert main(["generate", "--identity", somebody, *QUICK]) == 0
    said = capsys.readouterr().out
    assert "Checkpoint: models/Stable-diffusion/miniature_sdxl.safetensors" in said
    assert "Adapter: ip-adapter-faceid-portrait_sdxl (FaceID Portrait)" in said
    assert "70 layers" in said


def test_an_identity_is_saved_and_drawn(
    face_models: Path, data_folder: Path, models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = [item for name in ("Paul", "Paul2") for item in ("--photo", str(data_folder / f"photos/{name}.jpeg"))]
    assert main(["identity", *photos, "--face-models", str(face_models), "--out", "saved/paul.safetensors"]) == 0
    said = capsys.readouterr().out
    assert "will not do for FaceID Plus v2 and FaceID Plus" in said
    assert "one person from 2 photos" in said
    identity = Identity.load(tmp_path / "saved" / "paul.safetensors")
    assert identity.num_faces == 1
    assert identity.clip_hidden is None
    assert read_record(Path("saved/paul.safetensors")).photos  # by which the person is found when metadata are pasted
    assert main(["generate", "--identity", "saved/paul.safetensors", *models, *QUICK]) == 0


def test_an_identity_has_what_plus_reads_where_clip_is_there(
    face_models: Path, data_folder: Path, miniature_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEID_CLIP_VISION", str(miniature_clip))
    photo = str(data_folder / "photos" / "Bryan.png")
    assert main(["identity", "--photo", photo, "--face-models", str(face_models), "--out", "bryan.safetensors"]) == 0
    assert Identity.load(tmp_path / "bryan.safetensors").clip_hidden is not None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Say who is to be drawn"),
        (["--identity", "SOMEBODY", "--and", "--weight", "1"], "Unit 1: Say who is to be drawn"),
        (["--identity", "SOMEBODY", "--weight", "1", "--weight", "0.5"], "--weight is given twice. --and begins"),
        (["--photo-weight", "2", "--photo", "a.png"], "there is none before it"),
        (["--photo", "a.png", "--photo-weight", "-1"], "each with a weight from 0 to 10"),
        (["--identity", "SOMEBODY", "--weight", "much"], "weight is 'much'; a number from 0 to 2 was expected"),
        (["--identity", "SOMEBODY", "--combine", "best"], "combine is 'best'; one of average, median"),
        (["--identity", "SOMEBODY", "--hires", "hires"], "hires is 'hires', and there is one pass only"),
        (["--identity", "missing.safetensors"], "missing.safetensors does not exist"),
        (["--photo", "missing.png", "--face-models", "FACES"], "missing.png does not exist"),
        (["--identity", "SOMEBODY", "--weight", "3"], "weight is 3.0; a number from 0 to 2 was expected"),
        (["--identity", "SOMEBODY", "--start", "0.8", "--end", "0.2"], "start must come before end"),
        (["--identity", "SOMEBODY", "--variant", "plusv3"], "There is no variant 'plusv3'"),
        (["--identity", "SOMEBODY", "--checkpoint", "SOMEBODY"], "FaceID exists for SD 1.5 and SDXL only"),
        (["--identity", "SOMEBODY", "--adapter", "SOMEBODY"], "is not an adapter"),
        (["--identity", "SOMEBODY", "--adapter", "PLUS"], "this reference was made without"),
        (["--identity", "SOMEBODY", "--adapter", "gone/a.bin"], "a.bin does not exist"),
        (["--identity", "SOMEBODY", "--adapter", "gone.bin"], "There is no adapter 'gone.bin'"),
        (["--identity", "SOMEBODY", "--out", "SOMEBODY"], "cannot be written to"),
    ],
)
def test_what_goes_wrong_is_one_sentence(
    arguments: list[str],
    sentence: str,
    somebody: str,
    models: list[str],
    miniature_adapter: Callable[..., Path],
    miniature_clip: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FACEID_CLIP_VISION", str(miniature_clip))
    named = {"SOMEBODY": somebody}
    if "PLUS" in arguments:
        named["PLUS"] = str(miniature_adapter("plusv2", "sd15"))
    if "FACES" in arguments:
        named["FACES"] = str(request.getfixturevalue("face_models"))
    given = models[:2] if "--adapter" in arguments else models
    assert main(["generate", *given, *QUICK, *(named.get(argument, argument) for argument in arguments)]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.startswith("Error: ")
    assert error.count("\n") == 1


def test_an_adapter_of_the_other_family_is_refused_before_anything_is_loaded(
    somebody: str,
    miniature_checkpoint: Callable[[str], Path],
    miniature_adapter: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    named = ["--checkpoint", str(miniature_checkpoint("sd15")), "--adapter", str(miniature_adapter("portrait", "sdxl"))]
    assert main(["generate", "--identity", somebody, *named, *QUICK]) == 2
    assert "is for SDXL, but the loaded checkpoint is SD 1.5" in capsys.readouterr().err


def test_without_a_checkpoint_the_miniature_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As `demo` and `ui` do: in its own size, and with the person who ships with it."""
    prompt = ["--prompt", "a photo of a person, blue background"]
    assert main(["generate", "--person", "robin", *prompt, "--seed", "7", "--steps", "2"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"No checkpoint was found in {Path('models/Stable-diffusion')}, so this draws with the mini")
    assert "FaceID 0: ip-adapter-faceid-plusv2_sd15_miniature (FaceID Plus v2) · 1 face · weight 0.80" in said
    picture = Image.open(tmp_path / "out" / "seed7.png")
    assert picture.size == (128, 128)
    assert "Steps: 2, Sampler: DDIM, CFG scale: 2," in picture.info["parameters"]


def test_the_miniature_says_what_to_expect_of_a_photo(
    face_models: Path, data_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = ["--photo", str(data_folder / "photos" / "Paul.jpeg"), "--face-models", str(face_models)]
    assert main(["generate", *photo, *QUICK]) == 0
    assert "expect little likeness to a photo of yours" in capsys.readouterr().out


def test_an_adapter_of_ones_own_is_not_given_the_miniature(
    somebody: str, miniature_adapter: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    adapter = ["--adapter", str(miniature_adapter("faceid", "sd15"))]
    assert main(["generate", "--identity", somebody, *adapter, *QUICK]) == 2
    assert f"There is no checkpoint in {Path('models/Stable-diffusion')}" in capsys.readouterr().err


@pytest.mark.parametrize("size", ["512", "500x512", "0x512", "32x32", "axb"])
def test_a_size_that_is_none_is_refused(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["generate", "--prompt", "x", "--size", size])
    assert ended.value.code == 2
    assert "512x768 is one" in capsys.readouterr().err


def test_an_interruption_is_one_line(
    somebody: str, models: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Pipeline, "draw", interrupted)
    assert main(["generate", "--identity", somebody, *models, *QUICK]) == 130
    assert capsys.readouterr().err.strip() == "Stopped. Pictures that are finished are kept."


def test_without_diffusers_it_says_what_to_install(
    somebody: str, models: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "lib_faceid.hosts.diffusers.pipeline")
    monkeypatch.delattr(sys.modules["lib_faceid.hosts.diffusers"], "pipeline")
    monkeypatch.setitem(sys.modules, "diffusers", None)
    monkeypatch.setitem(sys.modules, "diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion", None)
    assert main(["generate", "--identity", somebody, *models, *QUICK]) == 2
    assert "needs diffusers" in capsys.readouterr().err


def test_miniatures_fill_a_folder_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("write_checkpoint", "write_adapter", "write_clip_vision"):
        monkeypatch.setattr(miniature_models, name, lambda path, *kind: path)
    assert main(["miniature", "small"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 17
    assert f"{Path('small/faceid/faces/robin.safetensors')}" in said
    assert f"{Path('small/faceid/ip-adapter-faceid-plusv2_sdxl.bin')}" in said
    faces = tmp_path / "full" / "faceid" / "faces"
    faces.mkdir(parents=True)
    (faces / "somebody.safetensors").touch()
    assert main(["miniature", "full"]) == 0
    (tmp_path / "full" / "something").touch()
    assert main(["miniature", "full"]) == 2
    assert "full is not empty" in capsys.readouterr().err


def test_help_is_quick_and_light() -> None:
    code = "import sys; sys.argv[1:] = ['--help']\ntry:\n from lib_faceid.commands.cli import main; main()\n"
    code += "finally: print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, env={**os.environ}, capture_output=True, text=True, check=True
    )
    assert "generate" in done.stdout
    assert done.stdout.rstrip().endswith("False")


def test_the_shipped_identity_is_that_of_the_shipped_photo(face_models: Path) -> None:
    from lib_faceid.faces.recognisers import is_as_trained
    from lib_faceid.miniature.trained import RECOGNISER, STRANGER, STRANGER_PHOTO
    from lib_faceid.references.joining import identity_from_photos

    analyser = standalone.load_face_analyser(face_models)
    fresh = identity_from_photos([STRANGER_PHOTO], analyser=analyser)
    shipped = Identity.load(STRANGER)
    assert (fresh.normed_embeddings @ shipped.normed_embeddings.T).item() > 0.999
    assert shipped.recogniser == fresh.recogniser
    assert is_as_trained(shipped.recogniser, RECOGNISER)
