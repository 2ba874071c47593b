"""The report per photo: its measures against known changes, its score against the identity that is really lost."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from collections.abc import Callable

import numpy as np
import pytest
from bench.degrade import STEPS, degraded, spearman
from PIL import Image, ImageDraw

from lib_faceid.errors import FileError
from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.faces.face import Face, largest
from lib_faceid.faces.geometry import TEMPLATE, moved, pose_degrees
from lib_faceid.faces.measures import Measures, _grain, measure
from lib_faceid.faces.report import PhotoReport, _reasons, judge, score_of

GOOD = Measures(
    size_px=300,
    detector_score=0.85,
    yaw_degrees=0,
    pitch_degrees=0,
    roll_degrees=0,
    sharpness=0.5,
    contrast=45,
    dark=0,
    bright=0,
    blockiness=1,
    eyes_contrast=0.6,
    mouth_contrast=0.6,
    flatness=0.2,
    edges=40,
)


@pytest.fixture(scope="module")
def chris(analyser: FaceAnalyser, photo: Callable[[str], np.ndarray]) -> Face:
    return largest(analyser.detect(photo("Chris.jpeg")))


# --------------------------------------------------------------------------------------------------------- the verdict
def test_the_score_predicts_the_identity_that_is_lost(
    analyser: FaceAnalyser, photo: Callable[[str], np.ndarray]
) -> None:
    """A third of the steps, on three photos; docs/PHOTO_REPORT.md has the whole table."""
    scores: list[float] = []
    cosines: list[float] = []
    for name in ("Chris.jpeg", "Luciano.png", "astronaut.png"):
        clean_photo = photo(name)
        clean = largest(analyser.detect(clean_photo))
        for kind, step in [(kind, step) for kind, steps in STEPS.items() for step in steps[1:-1:3]]:
            worse = degraded(clean_photo, kind, step, clean.size_px)
            faces = analyser.detect(worse)
            if faces:
                face = largest(faces)
                scores.append(judge(face, worse).score)
                cosines.append(likeness(face, clean))
    assert len(scores) >= 30
    assert spearman(scores, cosines) >= 0.8


def likeness(a: Face, b: Face) -> float:
    x, y = a.id_embedding, b.id_embedding
    return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))


@pytest.mark.parametrize("colour", [(10, 10, 10), (245, 245, 245), (90, 150, 210)])
@pytest.mark.parametrize("name", ["Chris.jpeg", "Luciano.png"])
def test_a_mask_is_not_good(
    name: str, colour: tuple[int, int, int], analyser: FaceAnalyser, photo: Callable[[str], np.ndarray]
) -> None:
    """From the bridge of the nose to below the chin, in one colour; about 0.65 of the identity is left."""
    image = Image.fromarray(photo(name))
    face = largest(analyser.detect(photo(name)))
    x0, _, x1, y1 = face.box
    ImageDraw.Draw(image).rectangle((x0, float(face.points[2, 1]) - 0.1 * (x1 - x0), x1, y1), fill=colour)
    masked = np.asarray(image)
    faces = analyser.detect(masked)
    assert all(judge(one, masked).verdict != "good" for one in faces)


def test_noise_counts(analyser: FaceAnalyser, photo: Callable[[str], np.ndarray]) -> None:
    image = photo("Luciano.png")
    noise = np.random.default_rng(0).normal(0, 60, image.shape)
    noisy = (image + noise).clip(0, 255).astype(np.uint8)
    clean, report = judge(largest(analyser.detect(image)), image), judge(largest(analyser.detect(noisy)), noisy)
    assert report.score < clean.score - 0.08


@pytest.mark.parametrize("kind", ["motion across", "motion down", "motion aslant"])
@pytest.mark.parametrize("name", ["Chris.jpeg", "Luciano.png"])
def test_motion_blur_is_named_and_not_good(
    name: str, kind: str, analyser: FaceAnalyser, photo: Callable[[str], np.ndarray]
) -> None:
    """A seventh of the face long it leaves 0.3 to 0.5 of the identity."""
    clean = largest(analyser.detect(photo(name)))
    moved_photo = degraded(photo(name), kind, 0.14, clean.size_px)
    face = largest(analyser.detect(moved_photo))
    report = judge(face, moved_photo)
    assert report.verdict != "good"
    assert report.score < likeness(face, clean) + 0.3
    assert "blurred in one direction" in report.reasons[0]


def test_out_of_focus_is_not_motion(analyser: FaceAnalyser, photo: Callable[[str], np.ndarray]) -> None:
    soft = degraded(photo("Luciano.png"), "blur", 0.03, 174)
    report = judge(largest(analyser.detect(soft)), soft)
    assert "out of focus" in report.reasons[0]
    assert not any("one direction" in reason for reason in report.reasons)


def test_noise_is_named(analyser: FaceAnalyser, photo: Callable[[str], np.ndarray]) -> None:
    """Also with a recogniser whose usual length is not known."""
    noisy = degraded(photo("Luciano.png"), "noise", 60, 174)
    face = dataclasses.replace(largest(analyser.detect(noisy)), usual_length=0.0)
    report = judge(face, noisy)
    assert report.verdict != "good"
    assert any("noisy" in reason for reason in report.reasons)


@pytest.mark.parametrize("sigma", [5.0, 20.0])
def test_the_grain_is_the_noise_that_was_added(sigma: float) -> None:
    slope = np.linspace(0, 200, 84)[:, None] + np.linspace(0, 50, 76)
    grain = np.random.default_rng(1).normal(0, sigma, slope.shape)
    assert _grain(slope) == pytest.approx(0, abs=1e-9)
    assert _grain(slope + grain) == pytest.approx(sigma, rel=0.05)


@pytest.mark.parametrize("name", ["Bryan.png", "Chris.jpeg", "Luciano.png", "Paul.jpeg", "Paul2.jpeg", "astronaut.png"])
def test_good_photos_are_good(name: str, analyser: FaceAnalyser, photo: Callable[[str], np.ndarray]) -> None:
    report = judge(largest(analyser.detect(photo(name))), photo(name))
    assert report.verdict == "good"
    small = ("the face is only 50 px: use a larger photo, best with a face of 160 px or more",)
    assert report.reasons == (small if name == "Bryan.png" else ())


@pytest.mark.parametrize(
    ("kind", "step", "reason"),
    [
        ("resize", 18, r"the face is only 1\d px: use a larger photo"),
        ("blur", 0.045, "out of focus or enlarged"),
        ("gamma", 9, "% of the face is nearly black: use a photo with more light"),
        ("jpeg", 5, r"strongly compressed \(blocks \d+\): use the original"),
    ],
)
def test_the_worst_reason_comes_first(
    kind: str, step: float, reason: str, analyser: FaceAnalyser, photo: Callable[[str], np.ndarray]
) -> None:
    name = "Luciano.png"
    worse = degraded(photo(name), kind, step, 177)
    report = judge(largest(analyser.detect(worse)), worse)
    assert report.verdict in (("usable", "poor") if kind == "jpeg" else ("poor",))
    assert re.search(reason, report.reasons[0])
    assert report.words.startswith(report.verdict)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bright": 0.95}, "95% of the face is nearly white"),
        ({"yaw_degrees": -58.0}, "turned away by about 58 degrees"),
        ({"pitch_degrees": 45.0}, "lowered by about 45 degrees"),
        ({"pitch_degrees": -45.0}, "raised by about 45 degrees"),
        ({"roll_degrees": -40.0}, "tilted by 40 degrees"),
        ({"eyes_contrast": 0.05}, "eyes seem to be covered or closed"),
        ({"mouth_contrast": 0.05}, "mouth seems to be covered"),
        ({"least_sharp": 0.005, "one_way": 0.05}, r"blurred in one direction, as by motion (sharpness 0.005 along it)"),
        ({"noise": 0.4}, "noisy (grain of 40% of the face's contrast)"),
        ({"flatness": 0.8}, "looks like a drawing"),
    ],
)
def test_each_flaw_has_its_words(change: dict[str, float], words: str) -> None:
    flawed = dataclasses.replace(GOOD, **change)
    assert score_of(flawed) < score_of(GOOD)
    assert score_of(GOOD) > 0.98
    assert words in _reasons(flawed)[0]
    assert _reasons(GOOD) == ()


# --------------------------------------------------------------------------------------------------------- the measures
def test_measures_of_known_changes(chris: Face, photo: Callable[[str], np.ndarray]) -> None:
    image = photo("Chris.jpeg")
    plain = measure(chris, image)
    assert plain.size_px == chris.size_px
    assert plain.dark == pytest.approx(0, abs=0.01)
    black = measure(dataclasses.replace(chris, crop_rgb=chris.crop_rgb // 20), image)
    assert (black.dark, black.bright) == (1, 0)
    white = measure(dataclasses.replace(chris, crop_rgb=255 - chris.crop_rgb // 20), image)
    assert (white.dark, white.bright) == (0, 1)
    flat = measure(dataclasses.replace(chris, crop_rgb=np.full_like(chris.crop_rgb, 99)), image)
    assert (flat.sharpness, flat.contrast, flat.flatness, flat.eyes_contrast) == (0, 0, 1, 0)
    assert (flat.noise, flat.one_way) == (0, 1)


@pytest.mark.parametrize("colour", [0, 90, 255])
@pytest.mark.parametrize(("rows", "word"), [(slice(88, 122), "eyes"), (slice(166, 204), "mouth")])
def test_a_bar_over_eyes_or_mouth(
    rows: slice, word: str, colour: int, chris: Face, photo: Callable[[str], np.ndarray]
) -> None:
    crop = chris.crop_rgb.copy()
    crop[rows, 40:184] = colour
    report = judge(dataclasses.replace(chris, crop_rgb=crop), photo("Chris.jpeg"))
    assert any(word in reason for reason in report.reasons)


def test_the_grid_of_jpeg_is_found_wherever_it_begins(chris: Face, photo: Callable[[str], np.ndarray]) -> None:
    image = photo("Chris.jpeg")
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=8)
    blocky = np.asarray(Image.open(io.BytesIO(file.getvalue())))
    assert measure(chris, image).blockiness < 2
    assert measure(chris, blocky).blockiness > 8
    x0, y0, x1, y1 = chris.box
    cut = dataclasses.replace(chris, box=(x0 - 3, y0 - 5, x1 - 3, y1 - 5))
    assert measure(cut, np.ascontiguousarray(blocky[5:, 3:])).blockiness > 8


def test_a_drawing(chris: Face, photo: Callable[[str], np.ndarray]) -> None:
    sheet = Image.new("RGB", (224, 224), (250, 210, 180))
    pen = ImageDraw.Draw(sheet)
    for x in (76, 147):
        pen.ellipse((x - 16, 90, x + 16, 116), fill=(255, 255, 255), outline=(0, 0, 0), width=3)
        pen.ellipse((x - 7, 96, x + 7, 112), fill=(40, 60, 160))
    pen.arc((80, 150, 144, 190), 20, 160, fill=(160, 30, 30), width=5)
    pen.rectangle((0, 0, 223, 40), fill=(90, 40, 20))
    report = judge(dataclasses.replace(chris, crop_rgb=np.asarray(sheet)), photo("Chris.jpeg"))
    assert any("drawing" in reason for reason in report.reasons)


# ------------------------------------------------------------------------------------------------------------- the pose
def head(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Five points of a head in space (eye distance 1, nose 0.5 in front) after turning, seen from far away."""
    down = 0.56 * 1.1
    points = np.array([[-0.5, 0, 0], [0.5, 0, 0], [0, down, 0.5], [-0.4, 1.1, 0], [0.4, 1.1, 0]])
    y, p, r = np.radians([yaw, pitch, roll])
    turn_yaw = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    turn_pitch = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    turn_roll = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return (points @ (turn_roll @ turn_pitch @ turn_yaw).T)[:, :2] * 80 + 200


@pytest.mark.parametrize("yaw", [-50, -25, 0, 25, 50])
@pytest.mark.parametrize("pitch", [-30, 0, 30])
def test_the_pose_of_a_head_in_space(yaw: float, pitch: float) -> None:
    pose = pose_degrees(head(yaw, pitch, 0))
    assert pose.yaw == pytest.approx(yaw, abs=12)
    assert pose.pitch == pytest.approx(pitch, abs=12)


@pytest.mark.parametrize("roll", [-170, -90, -30, 0, 45, 120])
def test_the_roll_of_a_head(roll: float) -> None:
    pose = pose_degrees(head(0, 0, roll))
    assert pose.roll == pytest.approx(roll, abs=1)
    assert pose.yaw == pytest.approx(0, abs=1)
    turned = moved(TEMPLATE, np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]]))  # clockwise, as y points down
    assert pose_degrees(turned).roll == pytest.approx(90, abs=1)


# -------------------------------------------------------------------------------------------------------------- as data
def test_reports_from_before_read_as_if_nothing_of_it_was_seen(chris: Face, photo: Callable[[str], np.ndarray]) -> None:
    values = judge(chris, photo("Chris.jpeg")).to_dict()
    for name in ("certainty", "least_sharp", "one_way", "noise"):
        del values["measures"][name]
    again = PhotoReport.from_dict(values)
    assert (again.measures.one_way, again.measures.noise) == (1, 0)


def test_as_data_and_back(chris: Face, photo: Callable[[str], np.ndarray]) -> None:
    report = judge(chris, photo("Chris.jpeg"))
    values = json.loads(json.dumps(report.to_dict()))
    again = PhotoReport.from_dict(values)
    assert (again.verdict, again.reasons) == (report.verdict, report.reasons)
    assert again.score == pytest.approx(report.score, abs=1e-3)
    assert again.to_dict() == report.to_dict()


@pytest.mark.parametrize(
    "values", [{}, {"score": "x", "reasons": [], "measures": {}}, {"score": float("nan"), "reasons": []}]
)
def test_damaged_data(values: dict[str, object], chris: Face, photo: Callable[[str], np.ndarray]) -> None:
    whole = judge(chris, photo("Chris.jpeg")).to_dict()
    with pytest.raises(FileError, match="saved photo report"):
        PhotoReport.from_dict({**whole, **values} if values else {})
