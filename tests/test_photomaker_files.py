"""PhotoMaker's files: whole or refused by name; when Auto takes one; pixels that are never kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from builders import tiny_parts_of, write
from safetensors.torch import load_file, save_file

from lib_faceid.encoders.pixels import PixelValues
from lib_faceid.errors import FaceIDError, FileError, MissingModelError
from lib_faceid.jobs.choosing import Models, choose_adapter
from lib_faceid.jobs.job import Job
from lib_faceid.methods.loading import load_adapter
from lib_faceid.miniature import write_photomaker
from lib_faceid.references import analysis
from lib_faceid.references.identity import Identity
from lib_faceid.units.unit import Photo, Unit

SOMEBODY = Identity(torch.randn(1, 512, generator=torch.Generator().manual_seed(1)) * 20, recogniser="w600k_r50")
State = dict[str, torch.Tensor]


def missing(*_: object) -> None:
    raise MissingModelError("it is not here.")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photomaker(tmp_path_factory.mktemp("photomaker") / "photomaker-v1.safetensors", 1)


@pytest.fixture
def models(whole: Path) -> Models:
    return Models(lambda: [whole], missing, missing, lambda _name: SOMEBODY, host="a test")  # type: ignore[arg-type]


def without(state: State, part: str) -> State:
    return {key: one for key, one in state.items() if part not in key}


def narrow(state: State) -> State:
    return state | {"id_encoder.fuse_module.layer_norm.weight": torch.ones(768)}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda state: without(state, "lora_weights"),
            "its LoRA has 0 tensors for 0 attention layers, and 1120 for 140",
        ),
        (lambda state: without(state, "mid_block.attentions.0.transformer_blocks.3."), "has 1104 tensors for 138"),
        (narrow, "it is for texts of width 768, and those of SDXL have 2048"),
        (lambda state: state | {next(iter(state)): torch.full((64,), torch.nan)}, "holds"),
    ],
)
def test_half_a_file_is_refused(whole: Path, tmp_path: Path, change: object, sentence: str) -> None:
    path = tmp_path / "photomaker.safetensors"
    save_file(change(load_file(whole)), path)  # type: ignore[operator]
    with pytest.raises(FileError, match=sentence):
        load_adapter(path)


def test_a_hole_in_the_encoder_is_said_when_it_is_built(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "photomaker.safetensors"
    save_file(without(load_file(whole), "encoder.layers.1.self_attn.k_proj"), path)
    with pytest.raises(FileError, match=r"photomaker is no whole PhotoMaker v1 file"):
        _ = load_adapter(path).image_proj
    save_file(without(load_file(whole), "fuse_module.mlp1.fc1"), path)
    with pytest.raises(FileError, match=r"photomaker is no whole PhotoMaker v1 file"):
        load_adapter(path).fused(torch.zeros(1, 2048), torch.zeros(1, 2048))


def test_auto_takes_it_where_nothing_better_can_be_used(models: Models, whole: Path, tmp_path: Path) -> None:
    unit = Unit(enabled=True, images=(Photo(whole),))
    adapter, note = choose_adapter(unit, models, 2048)
    assert (adapter.variant.id, note) == ("photomaker_v1", "")
    faceid = write(tiny_parts_of("faceid", 2048), tmp_path / "ip-adapter-faceid_sdxl.bin")
    both = replace(models, adapter_files=lambda: [whole, faceid])
    assert choose_adapter(unit, both, 2048)[0].variant.id == "faceid"
    assert choose_adapter(unit, both, 2048, [SOMEBODY])[0].variant.id == "faceid"
    alone = replace(models, carries=frozenset({"tokens", "lora"}))
    with pytest.raises(FaceIDError, match="Unit 0: photomaker-v1 needs changed rows of the text conditioning"):
        Job([unit], alone).prepare_for(2048)
    with pytest.raises(MissingModelError, match=r"photomaker-v1 \(SDXL\)"):
        choose_adapter(unit, models, 768)


def test_pixels_are_not_kept(models: Models, data_folder: Path) -> None:
    analysis.forget_all()
    photo = Photo(data_folder / "photos" / "astronaut.png")
    (prepared,) = Job([Unit(enabled=True, images=(photo,))], models).prepare_for(2048)
    assert prepared.references[0].num_pictures == 1
    assert len(analysis._hidden) == 0
    assert PixelValues().blank().shape == (3, 224, 224)
