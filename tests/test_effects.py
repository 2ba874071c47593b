"""Effects: what a host cannot carry is refused before anything is drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from builders import tiny_parts_of, write
from unets import identity_of

from lib_faceid.effects.effect import KINDS, EffectKind, require_carried
from lib_faceid.errors import HostError, MissingModelError
from lib_faceid.jobs.choosing import Models
from lib_faceid.jobs.preparing import prepare_unit
from lib_faceid.units.unit import Unit


def missing(*_: object) -> None:
    raise MissingModelError("not here")


@pytest.fixture
def models(tmp_path: Path) -> Models:
    file = write(tiny_parts_of("faceid", 768), tmp_path / "ip-adapter-faceid_sd15.safetensors")
    return Models(lambda: [file], missing, missing, lambda _name: identity_of(1), host="a test")  # type: ignore[arg-type]


def test_what_is_carried_is_not_refused() -> None:
    require_carried({"tokens", "lora"}, {"tokens", "lora", "text"}, "this", "a test")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_carried_is_named(kind: EffectKind) -> None:
    with pytest.raises(HostError, match=f"^this needs {KINDS[kind]}, which a test cannot apply"):
        require_carried({kind}, set(KINDS) - {kind}, "this", "a test")


def test_a_unit_with_an_effect_that_the_host_cannot_carry_is_refused(models: Models) -> None:
    unit = Unit(enabled=True, person="Ann", lora=0.6)
    assert prepare_unit(0, unit, models, 768).adapter.name == "ip-adapter-faceid_sd15"
    with pytest.raises(HostError, match=r"^Unit 0: ip-adapter-faceid_sd15 needs a LoRA in the UNet's weights, which"):
        prepare_unit(0, unit, replace(models, carries=frozenset({"tokens"})), 768)
