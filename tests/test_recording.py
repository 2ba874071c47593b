"""What is drawn is written down where that is on, can be drawn again, and costs nothing where it is off."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lib_faceid.app.again import SAME, draw_again
from lib_faceid.app.resources import Resources
from lib_faceid.app.session import Session
from lib_faceid.commands.drawing import draw
from lib_faceid.errors import FaceIDError
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.jobs.recording import used_unit
from lib_faceid.journal.journal import Journal, open_journal
from lib_faceid.miniature.folder import write_trained_models
from lib_faceid.models.folders import Roots
from lib_faceid.models.own_settings import change_settings
from lib_faceid.units.unit import Unit

pytest.importorskip("diffusers")
REQUESTS = [Request("a photo of a person, blue background", "", (128, 128), 3, 2.0, seed) for seed in (7, 8)]
ROBIN = Unit(enabled=True, person="robin")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    list(write_trained_models(folder))
    return folder


@pytest.fixture
def resources(folder: Path, face_models: Path, tmp_path: Path, loaded_once: None) -> Resources:
    """The miniature, in a folder of models of its own for what is written."""
    for name in ("Stable-diffusion", "faceid"):
        (tmp_path / "models" / name).mkdir(parents=True)
        for path in (folder / name).rglob("*"):
            target = tmp_path / "models" / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file():
                target.hardlink_to(path)
    return Resources(Roots(models=(tmp_path / "models",), face_models=face_models))


def drawn(resources: Resources, out: Path, unit: Unit = ROBIN) -> list[str]:
    said: list[str] = []
    draw(resources, [unit], REQUESTS, out, said.append)
    return said


def test_off_nothing_is_written(resources: Resources, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    said = drawn(resources, tmp_path / "out")
    new = set(tmp_path.rglob("*")) - set(before)
    assert {path.suffix for path in new if path.is_file()} <= {".png", ".lock", ".json"}
    assert not list((tmp_path / "models").rglob("journal*"))
    assert not list((tmp_path / "models").rglob("settings.json"))
    assert not any("ournal" in line for line in said)


def test_off_nothing_is_imported() -> None:
    code = (
        "import sys, lib_faceid.app.recording, lib_faceid.commands.drawing, lib_faceid.app.resources; "
        "print(sorted({'sqlite3', 'lib_faceid.journal', 'lib_faceid.jobs.recording'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_a_job_is_written_down_and_drawn_again(resources: Resources, tmp_path: Path) -> None:
    change_settings(resources.roots, journal=True, thumbnails=True)
    said = drawn(resources, tmp_path / "out", replace(ROBIN, weight=1.1))
    assert "Journal: F-000001" in said
    journal = open_journal(resources.roots)
    run = journal.run(1)
    assert (run.prompt, run.people, [one.seed for one in run.pictures]) == (REQUESTS[0].prompt, ("robin",), [7, 8])
    assert run.settings["Steps"] == "3"
    assert run.units[0].settings["weight"] == 1.1
    assert {len(run.units[0].adapter_sha256), len(run.checkpoint_sha256)} == {64}
    assert [Path(one.path).name for one in run.pictures] == ["seed7.png", "seed8.png"]
    assert all(len(one.sha256) == 64 for one in run.pictures)
    assert all(one.score and one.score["recogniser"] for one in run.pictures)
    assert [jpeg[:2] for jpeg in journal.thumbnails(1).values()] == [b"\xff\xd8"] * 2
    session = Session(resources)
    assert [told for _, told in draw_again(session, run, journal)] == [SAME, SAME]
    drawn(resources, tmp_path / "out", ROBIN)
    child = journal.run(2)
    assert (child.parent, child.tried) == (1, "FaceID 0 weight: 1.1 to 0.8")


def again(resources: Resources, journal: Journal) -> list[str]:
    return [told for _, told in draw_again(Session(resources), journal.run(1), journal)]


def test_what_differs_first_is_named(resources: Resources, tmp_path: Path) -> None:
    change_settings(resources.roots, journal=True)
    drawn(resources, tmp_path / "out")
    journal = open_journal(resources.roots)
    run = journal.run(1)
    other = replace(run, number=0, versions={**run.versions, "torch": "1.0"}, pictures=run.pictures[:1])
    other = replace(other, pictures=(replace(other.pictures[0], pixels_sha256="0" * 64),))
    number = journal.add(other, finds_parent=False).number
    ((_, told),) = draw_again(Session(resources), journal.run(number), journal)
    assert told.startswith("torch was 1.0 and is ")
    library = resources.people()
    library.rename("robin", "bird")
    with pytest.raises(FaceIDError, match="FaceID 0 drew 'robin', who is not in the library any more"):
        again(resources, journal)


def test_only_approved_people_where_that_is_set(resources: Resources, tmp_path: Path) -> None:
    change_settings(resources.roots, only_approved=True)
    with pytest.raises(FaceIDError, match="Only approved people may be drawn here, and nobody has approved 'robin'"):
        drawn(resources, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.png"))
    resources.people().approve("robin", "Ben")
    drawn(resources, tmp_path / "out")
    assert len(list((tmp_path / "out").glob("*.png"))) == 2


def test_a_journal_that_cannot_be_written_ends_no_job(resources: Resources, tmp_path: Path) -> None:
    change_settings(resources.roots, journal=True)
    open_journal(resources.roots).file.write_bytes(b"no journal" * 500)
    said = drawn(resources, tmp_path / "out")
    assert any(line.startswith("Not written into the journal: journal.sqlite is no journal") for line in said)
    assert len(list((tmp_path / "out").glob("*.png"))) == 2


@pytest.mark.parametrize(
    ("person", "people"),
    [
        ("robin", ("robin",)),
        ("Ann | Ben |", ("Ann", "Ben")),
        ("/home/me/secret/ann.identity.safetensors", ()),
        ("ann.identity.safetensors | Ben", ("Ben",)),
    ],
)
def test_whoever_is_named_by_a_file_is_no_name_of_the_library(person: str, people: tuple[str, ...]) -> None:
    """The path stays out of the journal; who it was is known by the hash of the reference."""
    adapter = SimpleNamespace(name="a.safetensors", variant=SimpleNamespace(id="faceid"))
    reference, unit = SimpleNamespace(fingerprint="0123abcd" * 8), Unit(enabled=True, person=person, weight=1.2)
    prepared: Any = SimpleNamespace(
        number=0, unit=unit, adapter=adapter, negative_images=(), references=[reference], hashes=["0123abcd"]
    )
    used = used_unit(prepared, "")
    assert used.people == people
    assert used.references == (reference.fingerprint,)
    assert used.settings == {"weight": 1.2, "adapter": "a.safetensors", "variant": "faceid"}


def test_the_command_try_draws_one_change_as_a_child(
    resources: Resources, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from argparse import Namespace

    from lib_faceid.commands.journal_diagnosis import DRAWN, _diagnose, _try

    change_settings(resources.roots, journal=True)
    drawn(resources, tmp_path / "out", replace(ROBIN, weight=0.0, start=0.5))
    drawn(resources, tmp_path / "out", replace(ROBIN, weight=0.05))
    journal = open_journal(resources.roots)
    number = journal.page().entries[0].id
    options = Namespace(
        RUN=number, row="low_weight", out=tmp_path / "out", face_models=None, json=False, not_it="waxy", plain=None
    )
    _diagnose(options, resources.roots)
    assert "weight 0 were not looked at" in capsys.readouterr().out
    options.plain = DRAWN
    _diagnose(options, resources.roots)
    out = capsys.readouterr().out
    assert "(low_weight, " in out
    assert "weight 0 were not looked at" not in out, "two pictures were drawn without anybody"
    _try(options, resources.roots)
    assert f"{number}: Raise the identity weight from 0.05 to 0.8." in capsys.readouterr().out
    child = journal.run(journal.page().entries[0].id)
    assert (child.parent, child.tried) == (journal.run(number).number, "FaceID 0 weight: 0.05 to 0.8")
    assert [one.seed for one in child.pictures] == [7, 8]
    assert journal.run(number).diagnosis["not_it"] == ["waxy"]
