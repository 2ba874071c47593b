"""Images as prompts: what is seen of them, how several become one, which adapter reads them, and every refusal."""

from __future__ import annotations

import base64
import io
import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from api_server import Fixture, picture
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lib_faceid.commands.cli import main
from lib_faceid.encoders.clip_vision import Output, load_clip_vision
from lib_faceid.encoders.features import ARCFACE, CLIP_BIGG_PROJECTED, CLIP_H_HIDDEN, CLIP_H_PROJECTED, FeatureKey
from lib_faceid.errors import MissingModelError, NoFaceError, UnitError
from lib_faceid.jobs.choosing import Models, choose_adapter
from lib_faceid.jobs.preparing import prepare_unit
from lib_faceid.miniature import published_name, write_adapter
from lib_faceid.pictures.requested import BASE64_ONLY
from lib_faceid.references.files import load_reference
from lib_faceid.references.images import join_images
from lib_faceid.references.reference import Reference
from lib_faceid.units.unit import Photo, Unit

RED, GREEN, BLUE = (250, 0, 0), (0, 250, 0), (0, 0, 250)
numbers = itertools.count()


class ColourEncoder:
    """An image encoder that gives the mean colour of what it is shown, 0 to 255, in the first three of its numbers."""

    encoder = "clip_vit_h"
    device = "cpu"
    image_px = 224

    def __init__(self) -> None:
        self.shown: list[NDArray[np.uint8]] = []
        self.runs = 0
        self.fingerprint = f"colour {next(numbers)}"  # nothing is kept from one test to the next

    def encode_outputs(self, crops_rgb: Sequence[NDArray[np.uint8]], outputs: Sequence[str]) -> dict[str, Tensor]:
        self.shown += crops_rgb
        self.runs += 1
        return {output: torch.stack([self._seen(crop, output) for crop in crops_rgb]) for output in outputs}

    def blank(self, output: str) -> Tensor:
        return torch.zeros(FeatureKey(self.encoder, output).shape)

    def _seen(self, crop_rgb: NDArray[np.uint8], output: str) -> Tensor:
        found = self.blank(output)
        found[..., :3] = torch.from_numpy(crop_rgb.reshape(-1, 3).mean(axis=0))
        return found


def refuse(*_: Any) -> Any:
    raise MissingModelError("It is not here.")


def images(*colours: tuple[int, int, int], weights: Sequence[float] = (), **settings: Any) -> Unit:
    photos = [Photo(picture(one), weight) for one, weight in zip(colours, weights or [1.0] * len(colours), strict=True)]
    return Unit(images=tuple(photos), purpose="image", **settings)


def joined(unit: Unit, *, key: FeatureKey = CLIP_H_PROJECTED) -> Tensor:
    """The first three numbers of the features that a unit's images become, [pictures, 3]."""
    encoders: dict[FeatureKey, Any] = {key: ColourEncoder()}
    return join_images(unit, encoders, "square", BASE64_ONLY, refuse).identity.features[key].values[..., :3]


@pytest.mark.parametrize(
    ("combine", "expected"),
    [
        ("average", [[100, 150, 0]]),
        ("add", [[500, 750, 0]]),
        ("subtract", [[500, -750, 0]]),
        ("tokens", [[250, 0, 0], [0, 250, 0]]),
        ("concatenate", [[250, 0, 0], [0, 250, 0]]),
    ],
)
def test_several_images_become_what_the_unit_says(combine: str, expected: list[list[float]]) -> None:
    found = joined(images(RED, GREEN, weights=[2, 3], combine=combine))
    assert torch.allclose(found, torch.tensor(expected, dtype=torch.float32))


def test_hidden_states_are_combined_as_embeds_are() -> None:
    found = joined(images(RED, GREEN, combine="add"), key=CLIP_H_HIDDEN)
    assert found.shape == (1, 257, 3)
    assert torch.equal(found, torch.tensor([250.0, 250.0, 0.0]).expand(1, 257, 3))


def test_the_median_is_moved_little_by_one_that_is_unlike_the_others() -> None:
    alike = [(250, 0, 0), (250, 5, 0), (250, 0, 5), BLUE]
    average, median = (joined(images(*alike, combine=how))[0] for how in ("average", "median"))
    assert median[2] < 25 < average[2]
    assert median[0] > 225 > average[0]


def test_tokens_are_merged_by_the_adapter_and_weight_0_leaves_an_image_out() -> None:
    encoders: dict[FeatureKey, Any] = {CLIP_H_PROJECTED: ColourEncoder()}
    unit = images(RED, GREEN, BLUE, weights=[1, 0, 3], combine="tokens")
    found = join_images(unit, encoders, "square", BASE64_ONLY, refuse)
    assert (found.identity.tokens, found.identity.weights) == ("average", (1, 3))
    assert found.messages == ("reference 2 was skipped: its weight is 0",)


@pytest.mark.parametrize("unit", [images(RED, weights=[0]), Unit(purpose="image")])
def test_nothing_to_see_is_an_error(unit: Unit) -> None:
    with pytest.raises(Exception, match=r"weight|no reference image"):
        joined(unit)


def sides() -> str:
    """A picture twice as wide as high: red, two green squares in the middle, blue."""
    pixels = np.zeros((64, 128, 3), np.uint8)
    pixels[:, :32], pixels[:, 32:96], pixels[:, 96:] = RED, GREEN, BLUE
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


@pytest.mark.parametrize(
    ("crop", "colour"), [("square", [0, 250, 0]), ("whole", [62.5, 125, 62.5]), ("padded", [31.25, 62.5, 31.25])]
)
def test_each_crop_shows_what_it_says(crop: str, colour: list[float]) -> None:
    encoder = ColourEncoder()
    unit = Unit(images=(Photo(sides()),), purpose="image")
    found = join_images(unit, {CLIP_H_PROJECTED: encoder}, crop, BASE64_ONLY, refuse)  # type: ignore[dict-item]
    seen = found.identity.features[CLIP_H_PROJECTED].values[0, :3]
    assert torch.allclose(seen, torch.tensor(colour, dtype=torch.float32), atol=3.0)
    assert [one.shape for one in encoder.shown] == [(224, 224, 3)]


def test_two_outputs_of_an_encoder_are_one_run_of_it() -> None:
    encoder: Any = ColourEncoder()
    unit = images(RED, GREEN)
    both = {CLIP_H_HIDDEN: encoder, CLIP_H_PROJECTED: encoder}
    found = join_images(unit, both, "square", BASE64_ONLY, refuse).identity
    assert encoder.runs == 2, "one for each image"
    again = join_images(unit, {CLIP_H_HIDDEN: encoder}, "square", BASE64_ONLY, refuse).identity
    assert encoder.runs == 2, "both are kept"
    assert torch.equal(found.features[CLIP_H_HIDDEN].values, again.features[CLIP_H_HIDDEN].values)


def test_the_real_encoder_gives_the_same_in_one_run(miniature_clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = load_clip_vision(miniature_clip)
    crop = np.random.default_rng(1).integers(0, 255, (224, 224, 3), np.uint8)
    outputs: list[Output] = ["penultimate", "projected"]
    apart = {output: clip.encode([crop], output) for output in outputs}
    runs: list[int] = []
    run = clip._model.forward
    monkeypatch.setattr(clip._model, "forward", lambda *args, **more: (runs.append(1), run(*args, **more))[1])
    together = clip.encode_outputs([crop], outputs)
    assert len(runs) == 1
    assert all(torch.equal(together[output], apart[output]) for output in outputs)


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An adapter of each kind by its variant; plus-face has the tensors of plus, and its name."""
    folder = tmp_path_factory.mktemp("adapters")
    made = {
        variant: write_adapter(folder / f"{published_name(variant, 'sd15')}.safetensors", variant, "sd15")
        for variant in ("faceid", "ip_adapter", "ip_adapter_vit_g", "ip_adapter_plus")
    }
    face = folder / "ip-adapter-plus-face_sd15.safetensors"
    return {**made, "ip_adapter_plus_face": write_adapter(face, "ip_adapter_plus", "sd15")}


def models_of(files: Sequence[Path], clip: Callable[[str], Any], person: Callable[[str], Any] = refuse) -> Models:
    return Models(lambda: files, refuse, clip, person)


def only(encoder: str) -> Callable[[str], Any]:
    """The one encoder that is here."""
    return lambda wanted: ColourEncoder() if wanted == encoder else refuse()


def test_auto_chooses_among_the_adapters_of_the_units_purpose(adapters: dict[str, Path]) -> None:
    models = models_of(list(adapters.values()), lambda _: ColourEncoder())
    chosen = {
        purpose: choose_adapter(Unit(purpose=purpose), models, 768)[0].variant.id for purpose in ("person", "image")
    }
    assert chosen == {"person": "faceid", "image": "ip_adapter_plus"}


def test_auto_takes_the_adapter_whose_encoder_is_here_and_says_so(adapters: dict[str, Path]) -> None:
    models = models_of(list(adapters.values()), only("clip_vit_bigg"))
    adapter, note = choose_adapter(Unit(purpose="image"), models, 768)
    assert adapter.variant.id == "ip_adapter_vit_g"
    assert note == "Auto took ip-adapter_sd15_vit-G, as ip-adapter-plus_sd15 cannot be used: It is not here."


def test_auto_for_an_image_without_such_an_adapter_names_what_to_get(adapters: dict[str, Path]) -> None:
    models = models_of([adapters["faceid"]], lambda _: ColourEncoder())
    with pytest.raises(MissingModelError) as error:
        choose_adapter(Unit(purpose="image"), models, 768)
    assert "ip-adapter-plus_sd15.safetensors" in str(error.value)
    with pytest.raises(MissingModelError, match="ip-adapter-faceid-plusv2"):
        choose_adapter(Unit(), models_of([adapters["ip_adapter"]], refuse), 768)


@pytest.mark.parametrize(
    ("purpose", "variant", "note"),
    [
        ("person", "ip_adapter_plus", "reads its pictures as they are, whoever is in them."),
        ("image", "faceid", "reads the person in its pictures."),
    ],
)
def test_an_adapter_of_the_other_purpose_is_taken_where_it_is_named_and_that_is_said(
    adapters: dict[str, Path], purpose: str, variant: str, note: str
) -> None:
    unit = Unit(purpose=purpose, adapter=adapters[variant].name)
    adapter, said = choose_adapter(unit, models_of(list(adapters.values()), refuse), 768)
    assert adapter.variant.id == variant
    assert said.endswith(note)


def test_a_saved_image_is_no_person_for_a_face_adapter(adapters: dict[str, Path]) -> None:
    """Its purpose is right, the adapter that is named reads a face: a sentence, and nothing is drawn."""
    saved = join_images(images(RED), {CLIP_H_PROJECTED: ColourEncoder()}, "square", BASE64_ONLY, refuse).identity  # type: ignore[dict-item]
    models = models_of(list(adapters.values()), refuse, lambda _: saved)
    unit = Unit(enabled=True, purpose="image", person="Sunset", adapter=adapters["faceid"].name)
    with pytest.raises(Exception, match="Unit 3: ") as error:
        prepare_unit(3, unit, models, 768)
    assert ARCFACE.encoder in str(error.value).lower() or "face" in str(error.value)


def test_a_missing_encoder_is_named_with_the_unit(adapters: dict[str, Path]) -> None:
    unit = replace(images(RED), enabled=True, adapter=adapters["ip_adapter_plus"].name)
    with pytest.raises(MissingModelError, match=r"^Unit 1: It is not here\."):
        prepare_unit(1, unit, models_of(list(adapters.values()), refuse), 768)


def test_an_adapter_of_faces_needs_face_models_and_a_face(adapters: dict[str, Path]) -> None:
    """Plus Face and Full Face see the face alone, unless the unit says otherwise."""
    unit = replace(images(RED), enabled=True, adapter=adapters["ip_adapter_plus_face"].name)
    models = models_of(list(adapters.values()), lambda _: ColourEncoder())
    with pytest.raises(MissingModelError, match="The image crop 'face' needs face models: It is not here"):
        prepare_unit(0, unit, models, 768)
    assert prepare_unit(0, replace(unit, image_crop="square"), models, 768).adapter.variant.crop == "face"
    with pytest.raises(NoFaceError, match="set the image crop to 'square'"):
        prepare_unit(0, replace(unit, images=(Photo(picture((0, 0, 0))),)), with_faces(models), 768)


def with_faces(models: Models) -> Models:
    return replace(models, face_analyser=lambda: Fixture().analyser)


def test_ways_of_combining_that_images_alone_have_are_refused_for_people(adapters: dict[str, Path]) -> None:
    unit = Unit(enabled=True, images=images(RED, GREEN).images, combine="add", adapter=adapters["faceid"].name)
    with pytest.raises(UnitError, match=r"combine is 'add', which is for images\. Use average"):
        prepare_unit(0, unit, with_faces(models_of(list(adapters.values()), refuse)), 768)


@pytest.fixture
def encoders(miniature_clip: Path, miniature_bigg: Path) -> Callable[[str], Any]:
    files = {"clip_vit_h": miniature_clip, "clip_vit_bigg": miniature_bigg}

    def load(encoder: str) -> Any:
        if encoder not in files:
            raise MissingModelError(f"{encoder} is not here.")
        return load_clip_vision(files[encoder], encoder=encoder)

    return load


class WithEncoders(Fixture):
    """The routes, with encoders."""

    def __init__(self, encoders: Callable[[str], Any]) -> None:
        self.encoders = encoders
        super().__init__()

    def _no_clip(self, encoder: str) -> Any:
        return self.encoders(encoder)


def check_saved(reference: Reference, clip: Any, pixels: NDArray[np.uint8]) -> None:
    """It holds what every image adapter reads, and that is what the encoder gives of the pixels."""
    assert not hasattr(reference, "id_embeddings")
    assert {CLIP_H_HIDDEN, CLIP_H_PROJECTED, CLIP_BIGG_PROJECTED} <= set(reference.features)
    assert torch.equal(reference.features[CLIP_H_PROJECTED].values, clip.encode([pixels], "projected"))


def test_an_image_is_saved_by_the_api(encoders: Callable[[str], Any]) -> None:
    served = WithEncoders(encoders)
    answer = served.post("/faces", {"name": "Sunset", "image": picture(GREEN, 224), "purpose": "image"})
    assert (answer["name"], answer["messages"]) == ("Sunset", [])
    assert served.get("/faces") == {"faces": [], "images": ["Sunset"]}
    pixels = np.full((224, 224, 3), GREEN, np.uint8)
    check_saved(served.people.load("Sunset").identity, encoders("clip_vit_h"), pixels)


def test_an_image_is_saved_by_the_command_line(
    encoders: Callable[[str], Any],
    miniature_clip: Path,
    miniature_bigg: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clips = tmp_path / "models" / "clip_vision"
    clips.mkdir(parents=True)
    for path, name in ((miniature_clip, "clip_h"), (miniature_bigg, "clip_g")):
        (clips / f"{name}.safetensors").symlink_to(path)
    monkeypatch.setenv("FACEID_MODELS", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (224, 224), BLUE).save("sea.png")
    arguments = ["face", "save", "Sea", "sea.png", "--purpose", "image", "--faces", str(tmp_path / "library")]
    assert main(arguments) == 0
    assert "Saved as 'Sea'" in capsys.readouterr().out
    (file,) = (tmp_path / "library").glob("Sea*")
    pixels = np.full((224, 224, 3), BLUE, np.uint8)
    check_saved(load_reference(file), encoders("clip_vit_h"), pixels)
