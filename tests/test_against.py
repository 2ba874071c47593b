"""What a picture is drawn away from: nobody, somebody else, or a made-up face."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from unets import adapter_for, identity_of

from lib_faceid.errors import MismatchError
from lib_faceid.methods.adapter import Adapter
from lib_faceid.references.identity import Identity
from lib_faceid.references.negative import Negative

VARIANTS = ["faceid", "plus", "plusv2", "portrait"]


@pytest.fixture(scope="module", params=VARIANTS)
def adapter(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Adapter:
    return adapter_for(tmp_path_factory.mktemp("against"), request.param)


def test_by_default_nobody(adapter: Adapter) -> None:
    person = identity_of(1, clip=True)
    assert torch.equal(adapter.encode(person).uncond, adapter.encode(person, negative=Negative()).uncond)


def test_somebody_takes_the_place_of_nobody_and_the_person_stays(adapter: Adapter) -> None:
    person, other = identity_of(1, clip=True), identity_of(2, clip=True)
    tokens = adapter.encode(person, {"structure": 0.7}, Negative(other))
    assert torch.equal(tokens.cond, adapter.encode(person, {"structure": 0.7}).cond)
    assert torch.equal(tokens.uncond, adapter.encode(other, {"structure": 0.7}).cond)


def test_beside_several_faces_there_are_as_many_strangers(adapter: Adapter) -> None:
    several, other = identity_of(1, faces=3, clip=True), identity_of(2, faces=2, clip=True)
    tokens = adapter.encode(several, negative=Negative(other))
    assert tokens.cond.shape == tokens.uncond.shape
    assert not torch.equal(tokens.uncond, adapter.encode(several).uncond)


def test_noise_is_the_same_in_every_job_and_grows(adapter: Adapter) -> None:
    person = identity_of(1, clip=True)
    plain = adapter.encode(person).uncond
    apart = [(adapter.encode(person, negative=Negative(noise=noise)).uncond - plain).norm() for noise in (0, 0.2, 1)]
    assert apart[0] == 0
    assert 0 < apart[1] < apart[2]
    again = adapter.encode(person, negative=Negative(noise=1)).uncond
    assert torch.equal(again, adapter.encode(person, negative=Negative(noise=1)).uncond)


def test_vectors_of_two_recognisers_do_not_compare(adapter: Adapter) -> None:
    one, other = (Identity(torch.randn(1, 512), recogniser=name) for name in ("w600k_r50-11111111", "glint-22222222"))
    if adapter.variant.encoders:
        pytest.skip("these people have no CLIP features")
    with pytest.raises(MismatchError, match="'Less like' was read by glint"):
        adapter.encode(one, negative=Negative(other))


def test_fingerprints_tell_them_apart() -> None:
    one, other = identity_of(1), identity_of(2)
    kinds = [Negative(), Negative(one), Negative(other), Negative(noise=0.5), Negative(one, 0.5)]
    assert len({kind.fingerprint for kind in kinds}) == len(kinds)


def test_an_adapter_file_is_not_touched(tmp_path: Path) -> None:
    adapter = adapter_for(tmp_path)
    before = {key: tensor.clone() for key, tensor in adapter.image_proj_state.items()}
    adapter.encode(identity_of(1), negative=Negative(identity_of(2), 1.0))
    assert all(torch.equal(tensor, before[key]) for key, tensor in adapter.image_proj_state.items())
