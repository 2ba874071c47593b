"""The scores of drawn pictures: as insightface alone computes them from the files, in every place they are written."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gallery import BLUE, strangers
from PIL import Image

from lib_faceid.app.beginnings import TRAINED
from lib_faceid.app.parameters import parameters_from
from lib_faceid.app.resources import Resources
from lib_faceid.app.session import GeneratedImage, Session
from lib_faceid.commands.drawing import draw
from lib_faceid.errors import MissingModelError
from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.jobs.job import Job
from lib_faceid.likeness.judging import Expected, judge
from lib_faceid.likeness.score import PictureScore
from lib_faceid.miniature.trained import TRAINED_ADAPTER
from lib_faceid.models.folders import Roots
from lib_faceid.units.job_options import JobOptions
from lib_faceid.units.region import PLACES
from lib_faceid.units.unit import Unit
from training.captions import caption

pytest.importorskip("diffusers", reason="the miniature is drawn on diffusers")

ANN, BEN = "never_seen_10", "never_seen_27"
PEOPLE = strangers("never_seen")
# Wider than the face: in a picture that a face fills, insightface's own program finds none.
ONE = replace(TRAINED, prompt=caption(BLUE), steps=8, seed=3, size_px=(192, 128))
WIDE = replace(ONE, size_px=(256, 128))
TWO = replace(WIDE, prompt=caption(BLUE, people=2))


class Room:
    """Somewhere to draw with the miniature, and who can be drawn."""

    def __init__(self, folder: Path, checkpoint: Path, faces: Path) -> None:
        self.folder, self.checkpoint, self.faces = folder, checkpoint, faces
        for name in (ANN, BEN):
            PEOPLE[name].save(self.file(name))
        files = (self.file(ANN), self.file(BEN))
        roots = Roots((folder,), face_models=faces)
        self.resources = Resources(roots, checkpoint=checkpoint, adapters=(TRAINED_ADAPTER,), identities=files)

    def file(self, name: str) -> Path:
        return self.folder / f"{name}.identity.safetensors"

    def unit(self, name: str, **settings: Any) -> Unit:
        return Unit(enabled=True, person=str(self.file(name)), adapter=str(TRAINED_ADAPTER), **settings)

    def draw(self, units: list[Unit], *requests: Request, **more: Any) -> list[GeneratedImage]:
        return list(
            Session(self.resources).draw(self.checkpoint, Job(units, self.resources.models()), requests, **more)
        )

    def insightface(self, *files: Path) -> list[list[dict[str, Any]]]:
        """Return what another program sees in pictures."""
        pytest.importorskip("insightface", reason="what it computes is what ours is compared with")
        people = self.folder / "people.npz"
        np.savez(people, **{name: PEOPLE[name].id_embeddings[0].numpy() for name in (ANN, BEN)})
        script = Path(__file__).with_name("scored_by_insightface.py")
        words = [sys.executable, str(script), str(self.faces), str(people), *map(str, files)]
        done = subprocess.run(words, check=True, capture_output=True, text=True, cwd=self.folder)
        return json.loads(done.stdout.rpartition("\n")[2])


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory, trained_checkpoint: Path, face_models: Path) -> Room:
    return Room(tmp_path_factory.mktemp("scores"), trained_checkpoint, face_models)


@pytest.fixture(scope="module")
def one(room: Room) -> GeneratedImage:
    return room.draw([room.unit(ANN)], ONE)[0]


@pytest.fixture(scope="module")
def two(room: Room) -> GeneratedImage:
    return room.draw([room.unit(ANN, region="left"), room.unit(BEN, region="right")], TWO)[0]


def likenesses(score: PictureScore | None) -> list[float | None]:
    assert score
    return [unit.likeness for unit in score.units]


def saved(generated: GeneratedImage, path: Path) -> Path:
    generated.image.save(path)
    return path


def test_a_picture_has_the_score_that_insightface_alone_computes(
    room: Room, one: GeneratedImage, analyser: FaceAnalyser
) -> None:
    ((face,),) = room.insightface(saved(one, room.folder / "one.png"))
    assert likenesses(one.score) == [pytest.approx(face["cosines"][ANN], abs=1e-3)]
    wrong = judge(np.asarray(one.image), [Expected(0, PEOPLE[BEN])], analyser)
    assert likenesses(wrong) == [pytest.approx(face["cosines"][BEN], abs=1e-3)]
    assert face["cosines"][ANN] > face["cosines"][BEN]


def test_two_people_in_regions_have_those_of_their_own_faces(room: Room, two: GeneratedImage) -> None:
    (faces,) = room.insightface(saved(two, room.folder / "two.png"))
    left, right = sorted(faces, key=lambda face: face["x"])
    assert left["x"] < 0.5 < right["x"]
    assert likenesses(two.score) == pytest.approx([left["cosines"][ANN], right["cosines"][BEN]], abs=1e-3)
    assert two.score
    assert not two.score.is_swapped
    assert two.score.likeness == min(unit.likeness or 0 for unit in two.score.units)


def test_a_face_that_nobody_asked_for_is_another_one(room: Room) -> None:
    (drawn,) = room.draw([room.unit(ANN)], WIDE)
    (faces,) = room.insightface(saved(drawn, room.folder / "wide.png"))
    assert len(faces) == 2
    assert likenesses(drawn.score) == [pytest.approx(max(face["cosines"][ANN] for face in faces), abs=1e-3)]
    assert drawn.score
    assert (drawn.score.faces, drawn.score.others) == (2, 1)
    assert drawn.score.note == "1 other face is in the picture."


def test_swapped_regions_are_reported_as_swapped(two: GeneratedImage, analyser: FaceAnalyser) -> None:
    expected = [Expected(0, PEOPLE[ANN], PLACES["right"]), Expected(1, PEOPLE[BEN], PLACES["left"])]
    swapped = judge(np.asarray(two.image), expected, analyser)
    assert swapped.is_swapped
    assert "FaceID 0 and FaceID 1 are swapped." in swapped.notes
    upright = [Expected(0, PEOPLE[ANN], PLACES["left"]), Expected(1, PEOPLE[BEN], PLACES["right"])]
    assert not judge(np.asarray(two.image), upright, analyser).is_swapped


def test_a_picture_without_a_face_says_so(analyser: FaceAnalyser) -> None:
    empty = judge(np.full((128, 128, 3), 90, np.uint8), [Expected(0, PEOPLE[ANN])], analyser)
    assert (empty.likeness, empty.faces) == (None, 0)
    assert empty.notes == ["FaceID 0: no face was found in the picture."]


def test_off_gives_the_same_bytes_but_for_the_line(room: Room, one: GeneratedImage) -> None:
    (off,) = room.draw([room.unit(ANN)], ONE, options=JobOptions(score=False))
    assert off.score is None
    assert np.array_equal(np.asarray(off.image), np.asarray(one.image))
    line = parameters_from(one.parameters).pop("FaceID likeness")
    assert line == f"{likenesses(one.score)[0]:.2f}"
    assert one.parameters.replace(f", FaceID likeness: {line}", "") == off.parameters


def test_a_job_without_a_person_loads_no_face_models(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: Resources) -> None:
        raise AssertionError("nobody was asked for")

    monkeypatch.setattr(Resources, "face_analyser", refuse)
    (nobody,) = room.draw([], replace(ONE, steps=1))
    assert (nobody.score, nobody.notes) == (None, ())
    (weightless,) = room.draw([room.unit(ANN, weight=0)], replace(ONE, steps=1))
    assert weightless.score is None
    (off,) = room.draw([room.unit(ANN)], replace(ONE, steps=1), options=JobOptions(score=False))
    assert off.score is None


def test_without_face_models_it_is_said_once_and_nothing_is_offered(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def missing(self: Resources) -> None:
        asked.append(self.offers_downloads)
        raise MissingModelError("There are no face models.")

    monkeypatch.setattr(Resources, "face_analyser", missing)
    session = Session(replace(room.resources, offers_downloads=True))
    job = Job([room.unit(ANN)], room.resources.models())
    drawn = list(session.draw(room.checkpoint, job, [replace(ONE, steps=1), replace(ONE, steps=1, seed=2)]))
    assert asked == [False]
    assert [one.notes for one in drawn] == [
        ("The likeness of the pictures was not looked at: There are no face models.",),
        (),
    ]


def test_the_command_line_writes_a_line_and_a_report(room: Room, tmp_path: Path) -> None:
    said: list[str] = []
    requests = [replace(ONE, steps=2, seed=seed) for seed in (1, 2)]
    for _ in range(2):
        draw(room.resources, [room.unit(ANN)], requests, tmp_path, said.append)
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert report["version"] == 1
    assert [one["file"] for one in report["pictures"]] == ["seed1.png", "seed2.png"]
    for picture in report["pictures"]:
        score = PictureScore.from_dict(picture["score"])
        with Image.open(tmp_path / picture["file"]) as image:
            written = parameters_from(image.info["parameters"])["FaceID likeness"]
        expected = "no face" if score.likeness is None else f"{score.likeness:.2f}"
        assert written == expected
        assert any(picture["file"] in line and f"likeness {expected}" in line for line in said)
    assert (tmp_path / "report-2.json").exists()


def test_whoever_is_each_images_own_is_who_it_is_judged_by(room: Room, analyser: FaceAnalyser) -> None:
    both = room.unit(ANN, batch="one each")
    each = replace(both, person=f"{room.file(ANN)} | {room.file(BEN)}")
    first, second = room.draw([each], replace(ONE, steps=2), replace(ONE, steps=2, seed=2))
    for generated, name in ((first, ANN), (second, BEN)):
        assert likenesses(generated.score) == likenesses(
            judge(np.asarray(generated.image), [Expected(0, PEOPLE[name])], analyser)
        )
