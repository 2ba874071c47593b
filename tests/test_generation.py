"""One job, without a host: adapters chosen, faces found, hooks in and out."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from torch import nn
from unets import identity_of

from lib_faceid.effects.injection import Contribution, inject
from lib_faceid.encoders.clip_vision import ClipVision, load_clip_vision
from lib_faceid.errors import FaceIDError, HostError, MismatchError, MissingModelError, NoFaceError, UnitError
from lib_faceid.faces.analyser import load_face_analyser
from lib_faceid.hosts.diffusers.checkpoint import load_parts
from lib_faceid.hosts.diffusers.single_file import cross_widths, read_checkpoint
from lib_faceid.jobs import attaching, passes
from lib_faceid.jobs.choosing import Models, choose_adapter
from lib_faceid.jobs.job import Job, Pass
from lib_faceid.jobs.preparing import shown_as
from lib_faceid.methods.encoded import EncodedReference
from lib_faceid.miniature import published_name, write_adapter
from lib_faceid.miniature.trained import TRAINED_ADAPTER
from lib_faceid.references.analysis import AnalysedPhoto
from lib_faceid.references.identity import Identity
from lib_faceid.unet.rows import tag_rows
from lib_faceid.units.region import PLACES
from lib_faceid.units.script_args import units_from_args
from lib_faceid.units.unit import Photo, Unit

ADAPTERS = (("plusv2", "sd15"), ("portrait", "sd15"), ("faceid", "sd15"), ("plusv2", "sdxl"), ("faceid", "sdxl"))
PORTRAIT = "ip-adapter-faceid-portrait_sd15"


def no_clip(_encoder: str) -> ClipVision:
    raise MissingModelError("CLIP ViT-H is not here.")


@pytest.fixture(scope="module")
def adapter_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("adapters")
    return [
        write_adapter(folder / f"{published_name(variant, family)}.safetensors", variant, family)
        for variant, family in ADAPTERS
    ]


@pytest.fixture(scope="module")
def models(adapter_files: list[Path], face_models: Path, miniature_clip: Path) -> Models:
    return Models(
        lambda: adapter_files,
        lambda: load_face_analyser(face_models),
        lambda _encoder: load_clip_vision(miniature_clip),
        lambda name: Identity.from_embedding(torch.eye(512)[len(name)] * 20),
    )


@pytest.fixture(scope="module")
def unet(miniature_checkpoint: Callable[[str], Path]) -> nn.Module:
    return load_parts(miniature_checkpoint("sd15")).modules["unet"]


@pytest.fixture(scope="module")
def unit(data_folder: Path) -> Unit:
    photo = base64.b64encode((data_folder / "photos" / "astronaut.png").read_bytes()).decode()
    return Unit(enabled=True, images=(Photo(photo),))


def hooks(unet: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in unet.modules())


def call(unet: nn.Module) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    latents, context = torch.randn(2, 4, 8, 8, generator=generator), torch.randn(2, 77, 768, generator=generator)
    with torch.no_grad():
        return unet(latents, torch.tensor(500), encoder_hidden_states=context).sample


@pytest.mark.parametrize(("dim", "chosen"), [(768, "plusv2_sd15"), (2048, "plusv2_sdxl")])
def test_auto_takes_the_best_adapter_for_the_checkpoint(models: Models, unit: Unit, dim: int, chosen: str) -> None:
    adapter, _ = choose_adapter(unit, models, dim)
    assert adapter.name == f"ip-adapter-faceid-{chosen}"


def test_auto_without_clip_takes_the_next_best_and_says_so(models: Models, unit: Unit) -> None:
    adapter, note = choose_adapter(unit, replace(models, clip_vision=no_clip), 768)
    assert adapter.variant.id == "portrait"
    assert "ip-adapter-faceid-plusv2_sd15 cannot be used: CLIP ViT-H is not here." in note


def test_auto_takes_an_adapter_that_fits_the_unets_layers(models: Models, unit: Unit, trained_checkpoint: Path) -> None:
    """In a folder with the trained miniature and random ones of the best variants, for UNets of other widths."""
    both = replace(models, adapter_files=lambda: [*models.adapter_files(), TRAINED_ADAPTER])
    widths = cross_widths(read_checkpoint(trained_checkpoint)[0])
    assert choose_adapter(unit, both, 768, (), widths)[0].name == TRAINED_ADAPTER.stem
    assert choose_adapter(unit, both, 768)[0].name == "ip-adapter-faceid-plusv2_sd15"
    assert choose_adapter(unit, both, 768, (), [1])[0].name == "ip-adapter-faceid-plusv2_sd15", "an error that says why"
    job = Job([unit], both)
    (prepared,) = job.prepare(load_parts(trained_checkpoint).modules["unet"])
    assert prepared.adapter.name == TRAINED_ADAPTER.stem
    assert job.prepare_for(768, widths) == (prepared,), "as it was before the weights were loaded"


@pytest.mark.parametrize(("variant", "chosen"), [("faceid", "ip-adapter-faceid_sd15"), ("portrait", PORTRAIT)])
def test_auto_keeps_to_the_variant_that_is_set(models: Models, unit: Unit, variant: str, chosen: str) -> None:
    adapter, note = choose_adapter(replace(unit, variant=variant), models, 768)
    assert (adapter.name, adapter.variant.id, note) == (chosen, variant, "")


def test_auto_reads_a_file_that_does_not_tell_as_the_variant_that_is_set(
    models: Models, unit: Unit, tmp_path: Path
) -> None:
    renamed = write_adapter(tmp_path / "anna.safetensors", "plusv2", "sd15")
    only = replace(models, adapter_files=lambda: [renamed])
    assert choose_adapter(unit, only, 768)[0].variant.id == "plusv2"
    adapter, _ = choose_adapter(replace(unit, variant="plus"), only, 768)
    assert (adapter.name, adapter.variant.id) == ("anna", "plus")


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        (
            "plus",
            r"No adapter of the variant FaceID Plus for SD 1\.5 was found \(found: .*plusv2_sd15 \(FaceID Plus v2\)",
        ),
        ("portrait_unnorm", r"No adapter of the variant FaceID Portrait unnorm for SD 1\.5 was found.*exists for SDXL"),
        ("plus v3", r"There is no variant 'plus v3'\. Known variants: plusv2, plus, portrait"),
    ],
)
def test_auto_with_no_file_of_the_variant_that_is_set(models: Models, unit: Unit, variant: str, message: str) -> None:
    with pytest.raises(FaceIDError, match=message):
        choose_adapter(replace(unit, variant=variant), models, 768)


def test_auto_with_nothing_that_fits_names_what_there_is(models: Models, unit: Unit, adapter_files: list[Path]) -> None:
    only_sdxl = replace(models, adapter_files=lambda: [path for path in adapter_files if "sdxl" in path.name])
    with pytest.raises(MissingModelError, match=r"No FaceID adapter for SD 1\.5 .*ip-adapter-faceid_sdxl \(SDXL\)"):
        choose_adapter(unit, only_sdxl, 768)


@pytest.mark.parametrize(
    ("changes", "dim", "error", "sentence"),
    [
        ({"adapter": "gone.bin"}, 768, MissingModelError, "There is no adapter 'gone.bin'"),
        ({"adapter": "ip-adapter-faceid_sdxl"}, 768, MismatchError, "is for SDXL, but the loaded checkpoint is SD 1.5"),
        ({"adapter": "ip-adapter-faceid_sd15", "variant": "plus"}, 768, MismatchError, "cannot be read as FaceID Plus"),
        ({}, 1024, HostError, "the loaded checkpoint is SD 2"),
    ],
)
def test_a_wrong_choice_is_named(
    models: Models, unit: Unit, changes: dict[str, str], dim: int, error: type[FaceIDError], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        choose_adapter(replace(unit, **changes), models, dim)


def test_a_job_comes_and_goes_without_a_trace(models: Models, unit: Unit, unet: nn.Module) -> None:
    plain = call(unet)
    job = Job([unit], models)
    job.attach(unet).set_rows([0, 1])
    assert (call(unet) - plain).abs().amax(dim=(1, 2, 3)).min() > 0.01
    assert job.attach(unet) is job.injection
    job.close()
    job.close()
    assert hooks(unet) == 0
    assert torch.equal(call(unet), plain)
    assert job.calls == 1


def test_what_does_not_act_is_not_even_prepared(models: Models, unit: Unit, unet: nn.Module) -> None:
    units = [replace(unit, enabled=False), replace(unit, weight=0.0), replace(unit, images=())]
    assert Job(units, models).prepare(unet) == ()


def test_an_error_names_its_unit(models: Models, unit: Unit, unet: nn.Module, data_folder: Path) -> None:
    empty = base64.b64encode((data_folder / "photos" / "no_face.jpeg").read_bytes()).decode()
    with pytest.raises(NoFaceError, match=r"^Unit 1: No face found"):
        Job([unit, replace(unit, images=(Photo(empty),))], models).prepare(unet)


def test_units_that_share_an_adapter_share_its_lora(models: Models, unit: Unit, unet: nn.Module) -> None:
    job = Job([replace(unit, lora=0.3), replace(unit, lora=0.7), replace(unit, adapter=PORTRAIT)], models)
    assert [(lora.name, strength) for lora, strength in job.loras(unet)] == [("ip-adapter-faceid-plusv2_sd15", 0.7)]


def test_several_photos_are_one_person_and_a_bad_one_is_named(
    models: Models, unit: Unit, unet: nn.Module, data_folder: Path
) -> None:
    empty = base64.b64encode((data_folder / "photos" / "no_face.jpeg").read_bytes()).decode()
    (prepared,) = Job([replace(unit, images=(*unit.images, Photo(empty)))], models).prepare(unet)
    assert "1 of 2 references used." in prepared.notes
    assert any("No face found in reference 2 of 2" in note for note in prepared.notes)
    assert [len(reference) for reference in prepared.hashes] == [8]


def test_a_saved_person_without_clip_features_gets_an_adapter_that_needs_none(models: Models, unet: nn.Module) -> None:
    (prepared,) = Job([Unit(enabled=True, person="Ada")], models).prepare(unet)
    assert prepared.adapter.variant.id == "portrait"
    assert any("made without CLIP features" in note for note in prepared.notes)


def test_people_on_the_same_area_are_pointed_out(models: Models, unet: nn.Module) -> None:
    """Not where each has a place, a time or a pass of its own, nor where both are the same person."""
    ada, bo = Unit(enabled=True, person="Ada"), Unit(enabled=True, person="Bo")

    def notes(first: Unit, second: Unit) -> list[str]:
        one, other = Job([first, second], models).prepare(unet)
        assert not [note for note in one.notes if "mixed" in note]
        return [note for note in other.notes if "mixed" in note]

    assert notes(ada, bo) == [
        "It acts everywhere, as FaceID 0 does: the people are mixed. Give each a region, as left and right, or auto."
    ]
    assert notes(replace(ada, region="left"), replace(bo, region="left"))[0].startswith("It acts in 'left', as")
    for first, second in (
        (replace(ada, region="left"), replace(bo, region="right")),
        (replace(ada, region="auto"), replace(bo, region="auto")),
        (replace(ada, end=0.5), replace(bo, start=0.5)),
        (replace(ada, hires="first"), replace(bo, hires="hires")),
        (ada, replace(ada, weight=0.3)),
    ):
        assert notes(first, second) == []


@pytest.mark.parametrize("face", ["0", "-1", "biggest", "1.5"])
def test_a_face_that_cannot_be_meant(models: Models, unit: Unit, unet: nn.Module, face: str) -> None:
    with pytest.raises(FaceIDError, match=r"^face is "):
        Job([replace(unit, face=face)], models).prepare(unet)


def test_a_pass_in_which_nobody_acts(models: Models, unit: Unit, unet: nn.Module) -> None:
    job = Job([replace(unit, hires="hires")], models)
    assert not job.attach(unet).acts
    assert job.loras(unet) == []
    assert job.attach(unet, Pass(hires=True)).acts
    assert [strength for _, strength in job.loras(unet, hires=True)] == [0.6]
    job.close()


def test_text_is_a_picture_and_never_a_path(models: Models, unit: Unit, unet: nn.Module, data_folder: Path) -> None:
    path = str(data_folder / "photos" / "astronaut.png")
    with pytest.raises(FaceIDError, match="Unit 0"):
        Job([replace(unit, images=(Photo(path),))], models).prepare(unet)


def test_the_summary_tells_what_acts_when(models: Models, unit: Unit, unet: nn.Module) -> None:
    (prepared,) = Job([replace(unit, start=0.2, end=0.8)], models).prepare(unet)
    assert prepared.summary(prepared.plan(10)) == (
        "FaceID 0: ip-adapter-faceid-plusv2_sd15 (FaceID Plus v2) · 1 face · weight 0.80 · structure 1.00 · LoRA 0.60 "
        "· steps 3-8 of 10 · 16 layers · photo"
    )


def test_the_summary_names_the_person_and_the_region(
    models: Models, unit: Unit, unet: nn.Module, tmp_path: Path
) -> None:
    (prepared,) = Job([replace(unit, region="left")], models).prepare(unet)
    assert prepared.summary("").endswith(" · photo · left")
    assert shown_as(replace(unit, images=(Photo(tmp_path / "ann.jpg"),))) == "photo", "a file's name is kept to oneself"
    assert shown_as(Unit(enabled=True, person="Ann | Ben", batch="one each")) == "Ann | Ben"
    assert shown_as(Unit(enabled=True, person=str(tmp_path / "ann.safetensors"))) == "person"
    assert shown_as(Unit(enabled=True, images=unit.images, purpose="image")) == "image"


@pytest.mark.parametrize(
    ("step", "sentences"),
    [
        ("tagged", ["FaceID 0: ip-adapter-faceid-plusv2_sd15"]),
        ("others too", ["FaceID 0: ip-adapter-faceid-plusv2_sd15", "FaceID: Another extension called the UNet with"]),
        ("others for cond", ["FaceID 0 was NOT applied: the UNet was given another prompt than the one that FaceID"]),
        ("others", ["FaceID 0 was NOT applied: the UNet was given another prompt than the one that FaceID marked"]),
        ("once others", ["FaceID 0: ip-adapter", "FaceID was NOT applied in 1 of 2 steps: the UNet was given"]),
        ("none", ["FaceID 0 was NOT applied: no step reached it. Widen start and end, or"]),
    ],
)
def test_a_face_that_was_not_applied_is_said(
    models: Models, unit: Unit, unet: nn.Module, step: str, sentences: list[str]
) -> None:
    plain = torch.zeros(2, 77, 768)
    uncond, both = tag_rows(plain[:1], [-1]), tag_rows(plain, [-1, 1])
    steps = {
        "tagged": [[both]],
        "others too": [[plain, both]],
        "others for cond": [[plain[:1], uncond]],
        "others": [[plain]],
        "once others": [[both], [plain]],
        "none": [],
    }
    job = Job([unit], models)
    for contexts in steps[step] or [[]]:
        injection = job.attach(unet)
        injection.expect_tags([78])
        for context in contexts:
            with torch.no_grad():
                unet(torch.zeros(len(context), 4, 8, 8), torch.tensor(500), context)
    for _ in range(2):  # as well after the hooks are gone
        told = job.report(lambda one: one.plan(10))
        assert job.is_applied is not told[0].startswith("FaceID 0 was NOT")
        assert len(told) == len(sentences)
        assert all(line.startswith(sentence) for line, sentence in zip(told, sentences, strict=True))
        job.close()


def test_the_pages_flat_arguments_are_units() -> None:
    fields = Unit().to_dict()
    flat = [*{**fields, "weight": 0.5}.values(), *{**fields, "enabled": True}.values()]
    assert units_from_args(flat) == [Unit(weight=0.5), Unit(enabled=True)]


def test_an_api_requests_dicts_are_units_and_the_pages_defaults_are_not() -> None:
    units = units_from_args([{"image": "abc"}, {"image": "abc", "enabled": False}, *Unit().to_dict().values()])
    assert [unit.enabled for unit in units] == [True, False]
    with pytest.raises(UnitError, match=r"^Unit 1: unknown field 'wieght' \(did you mean 'weight'\?\)"):
        units_from_args([{}, {"wieght": 1}])


# ------------------------------------------------------------------------------------- who is in which image of a batch
def test_one_each_gives_every_image_of_the_job_its_person(models: Models, unit: Unit, unet: nn.Module) -> None:
    photos = (*unit.images, *unit.images)
    job = Job([replace(unit, images=photos, batch="one each", adapter="ip-adapter-faceid_sd15")], models)
    (prepared,) = job.prepare(unet)
    first, second = prepared.references
    assert first.num_pictures == second.num_pictures == 1
    assert job.differs_by_image
    with_third_image = job.attach(unet, Pass(images=range(2, 4)))
    assert job.attach(unet, Pass(images=range(2, 4))) is with_third_image
    assert job.attach(unet, Pass(images=range(4, 6))) is not with_third_image
    job.close()


def test_saved_people_take_turns(models: Models, unet: nn.Module) -> None:
    people = {name: identity_of(seed) for seed, name in enumerate(("Ann", "Ben"))}
    unit = Unit(enabled=True, person="Ann | Ben", batch="one each", adapter="ip-adapter-faceid_sd15")
    (prepared,) = Job([unit], replace(models, person=people.__getitem__)).prepare(unet)
    assert list(prepared.references) == [people["Ann"], people["Ben"]]


def test_a_job_that_is_attached_unprepared_draws_the_images_own_person(
    models: Models, unet: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    attached: list[Sequence[Contribution]] = []
    monkeypatch.setattr(
        attaching, "inject", lambda unet, those, view: attached.append(those) or inject(unet, those, view)
    )
    people = {name: identity_of(seed) for seed, name in enumerate(("Ann", "Ben"))}
    unit = Unit(enabled=True, person="Ann | Ben", batch="one each", adapter="ip-adapter-faceid_sd15")
    for image, name in enumerate(("Ann", "Ben", "Ann")):
        job = Job([unit], replace(models, person=people.__getitem__))
        job.attach(unet, Pass(images=range(image, image + 1)))
        (contribution,) = attached.pop()
        (source,) = cast("list[EncodedReference]", contribution.effect.sources)
        assert source.reference is people[name]
        job.close()


def test_auto_regions_look_for_each_images_own_person(
    models: Models, unet: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = {name: identity_of(seed) for seed, name in enumerate(("Ann", "Ben", "Cem"))}
    each = Unit(enabled=True, person="Ann | Ben", batch="one each", region="auto", adapter="ip-adapter-faceid_sd15")
    units = [each, replace(each, person="Cem", batch="together")]
    compared: list[list[Identity]] = []

    def bound(photo: AnalysedPhoto, wanted: Sequence[Identity], recogniser: str) -> list[None]:
        compared.append(list(wanted))
        return [None] * len(wanted)

    monkeypatch.setattr(passes, "_bound", bound)
    job = Job(units, replace(models, person=people.__getitem__))
    job.see(unet, [np.zeros((64, 64, 3), np.uint8)] * 3, first=1)
    assert compared == [[people[name], people["Cem"]] for name in ("Ben", "Ann", "Ben")]
    job.close()


def test_several_people_for_one_image_are_named(models: Models, unet: nn.Module) -> None:
    job = Job([Unit(enabled=True, person="Ann | Ben")], models)
    with pytest.raises(UnitError, match=r"Unit 0: person names 2 people \(Ann \| Ben\)\. Set batch to 'one each'"):
        job.prepare(unet)


def test_less_like_and_noise_reach_the_contribution(models: Models, unit: Unit, unet: nn.Module) -> None:
    settings = {"negative_images": unit.images, "noise": 0.3, "adapter": "ip-adapter-faceid_sd15"}
    (prepared,) = Job([replace(unit, **settings)], models).prepare(unet)
    assert prepared.tokens
    (source,) = cast("list[EncodedReference]", prepared.tokens.sources)
    assert source.negative.reference
    assert source.negative.reference.fingerprint == prepared.references[0].fingerprint
    assert source.negative.noise == 0.3
    assert prepared.negative_images == prepared.hashes


def test_a_region_is_where_a_unit_acts(models: Models, unit: Unit, unet: nn.Module) -> None:
    units = [replace(unit, region="left"), unit, replace(unit, region="auto"), replace(unit, region="auto")]
    job = Job(units, models)
    left, everywhere, *_ = job.prepare(unet)
    assert [region and region.box for region in left.regions] == [PLACES["left"]]
    assert not everywhere.regions
    assert job.follows_faces
    assert job.attach(unet).has_regions
    job.close()
