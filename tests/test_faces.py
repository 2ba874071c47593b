"""Faces in real photos, found by real models: who, where, in which order, and what happens when there are none."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_faceid.errors import FileError, MissingModelError, MissingPackageError, NoFaceError
from lib_faceid.faces import analyser as faces_module
from lib_faceid.faces.analyser import Face, FaceAnalyser, largest, load_face_analyser
from lib_faceid.faces.geometry import TEMPLATE, View, alignment, inverse, moved, roll_degrees
from lib_faceid.faces.search import VIEWS, Sighting, search_views
from lib_faceid.pictures.photo import read_photo
from lib_faceid.units.region import Box, which_face

PORTRAITS = ("Bryan.png", "Chris.jpeg", "Luciano.png", "Paul.jpeg", "Paul2.jpeg", "astronaut.png")


def likeness(a: Face, b: Face) -> float:
    x, y = a.id_embedding, b.id_embedding
    return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))


# ------------------------------------------------------------------------------------------------------ faces
def test_a_face(analyser: FaceAnalyser, photo: Callable[[str], np.ndarray]) -> None:
    (face,) = analyser.detect(photo("astronaut.png"))
    x0, y0, x1, y1 = face.box
    assert np.allclose(face.box, (175, 68, 267, 188), atol=12)
    assert face.size_px == round(y1 - y0)
    assert ((face.points > (x0, y0)) & (face.points < (x1, y1))).all()
    assert 0.5 <= face.score <= 1
    assert (face.id_embedding.shape, face.id_embedding.dtype) == ((512,), np.float32)
    assert np.linalg.norm(face.id_embedding) > 2  # raw: a unit vector would have 1
    assert (face.crop_rgb.shape, face.crop_rgb.dtype) == ((224, 224, 3), np.uint8)


def test_the_same_numbers_as_insightface_itself(
    analyser: FaceAnalyser, data_folder: Path, photo: Callable[[str], np.ndarray]
) -> None:
    """The adapters were trained on what insightface's own pipeline gives; colours and crops included."""
    from insightface.app import FaceAnalysis
    from insightface.utils.face_align import norm_crop

    root = str(data_folder / "face_models")
    app = FaceAnalysis(name="buffalo_sc_f32", root=root, providers=["CPUExecutionProvider"])
    app.prepare(ctx_id=0, det_size=(640, 640))
    for name in PORTRAITS:
        image_bgr = np.ascontiguousarray(photo(name)[:, :, ::-1])
        (theirs,) = app.get(image_bgr)
        (ours,) = analyser.detect(photo(name))
        assert np.allclose(ours.points, theirs.kps, atol=1e-3), name
        cosine = ours.id_embedding @ theirs.normed_embedding / np.linalg.norm(ours.id_embedding)
        assert cosine > 0.9999, name
        crop_bgr = norm_crop(image_bgr, ours.points, image_size=224)
        assert np.array_equal(ours.crop_rgb, crop_bgr[:, :, ::-1]), name  # byte for byte
        # insightface 2 runs its own copy of the detector for each size, whose last bits differ: so do a few pixels.
        theirs_bgr = norm_crop(image_bgr, theirs.kps, image_size=224).astype(int)
        away = np.abs(ours.crop_rgb - theirs_bgr[:, :, ::-1])
        assert (away.max() <= 4) & (away.mean() < 0.01), name


def test_the_same_man_is_alike_and_others_are_not(analyser: FaceAnalyser, photo: Callable[[str], np.ndarray]) -> None:
    found = {name: largest(analyser.detect(photo(name))) for name in PORTRAITS}
    assert likeness(found["Paul.jpeg"], found["Paul2.jpeg"]) > 0.5
    for a in PORTRAITS:
        for b in PORTRAITS:
            if a[:4] != b[:4]:
                assert likeness(found[a], found[b]) < 0.3, (a, b)


def test_colour_order(analyser: FaceAnalyser, photo: Callable[[str], np.ndarray]) -> None:
    """Red stays red in the crop for CLIP, and the recogniser notices when red and blue change places."""
    red = (photo("Luciano.png") * (1.0, 0.3, 0.3)).astype(np.uint8)
    (face,) = analyser.detect(red)
    assert face.crop_rgb[:, :, 0].mean() > 2 * face.crop_rgb[:, :, 2].mean()
    (blue,) = analyser.detect(np.ascontiguousarray(red[:, :, ::-1]))
    assert blue.crop_rgb[:, :, 2].mean() > 2 * blue.crop_rgb[:, :, 0].mean()
    assert likeness(face, blue) < 0.99


def test_a_group_comes_left_to_right(analyser: FaceAnalyser, photo: Callable[[str], np.ndarray]) -> None:
    group = photo("solvay_conference_1927.png")
    found = analyser.detect(group)
    assert len(found) == 29
    centres = [(face.box[0] + face.box[2], face.box[1] + face.box[3]) for face in found]
    assert centres == sorted(centres)
    again = analyser.detect(group)
    assert [face.box for face in again] == [face.box for face in found]
    assert largest(found).size_px == max(face.size_px for face in found)


# ----------------------------------------------------------------------------------------------------- ladder
def test_a_tight_crop_is_found_and_is_the_same_person(
    analyser: FaceAnalyser, photo: Callable[[str], np.ndarray]
) -> None:
    (whole,) = analyser.detect(photo("astronaut.png"))
    x0, y0, x1, y1 = (round(edge) for edge in whole.box)
    crop = photo("astronaut.png")[y0:y1, x0:x1]
    assert len(analyser._detect(np.ascontiguousarray(crop[:, :, ::-1]), (640, 640))[0]) == 0
    assert crop.shape[:2] == (120, 92)
    (face,) = analyser.detect(crop)
    assert face.score >= 0.5
    assert likeness(face, whole) > 0.9
    assert np.abs(face.points + np.array([x0, y0]) - whole.points).max() < 6


def test_a_padded_and_a_small_photo_are_the_same_person(
    analyser: FaceAnalyser, photo: Callable[[str], np.ndarray]
) -> None:
    whole = largest(analyser.detect(photo("astronaut.png")))
    (padded,) = analyser.detect(np.pad(photo("astronaut.png"), ((300, 300), (300, 300), (0, 0)), mode="edge"))
    assert padded.score >= 0.5
    assert likeness(padded, whole) > 0.9
    for name in ("Chris.jpeg", "Paul.jpeg", "Paul2.jpeg"):  # whose faces have 43 px and more when 8 times as small
        image = Image.fromarray(photo(name))
        (small,) = analyser.detect(np.asarray(image.resize((image.width // 8, image.height // 8))))
        assert small.score >= 0.5
        assert small.size_px >= 32
        assert likeness(small, largest(analyser.detect(photo(name)))) > 0.7


@pytest.mark.parametrize("name", ["coffee", "chelsea"])
def test_cups_and_cats_have_no_face(name: str, analyser: FaceAnalyser) -> None:
    data = pytest.importorskip("skimage.data")
    assert analyser.detect(getattr(data, name)()) == ()


@pytest.mark.parametrize("name", ["Bryan.png", "Chris.jpeg", "Luciano.png", "astronaut.png"])
@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_a_turned_photo_is_the_same_person(
    name: str, quarter_turns: int, analyser: FaceAnalyser, photo: Callable[[str], np.ndarray]
) -> None:
    """SCRFD sees upside-down faces too, with wrong points: that embedding would be nobody's."""
    (upright,) = analyser.detect(photo(name))
    (turned,) = analyser.detect(np.ascontiguousarray(np.rot90(photo(name), quarter_turns)))
    assert likeness(upright, turned) > 0.9
    assert np.abs(turned.crop_rgb.astype(int) - upright.crop_rgb).mean() < 20  # upright again


def test_exif_orientation_leads_to_the_same_face(
    analyser: FaceAnalyser, photo: Callable[[str], np.ndarray], tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = photo("Chris.jpeg")
    Image.fromarray(np.rot90(upright).copy()).save(tmp_path / "held.png", exif=exif)
    (expected,), (face,) = analyser.detect(upright), analyser.detect(read_photo(tmp_path / "held.png"))
    assert np.array_equal(face.id_embedding, expected.id_embedding)


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (16, 16)])
def test_pictures_without_room_for_a_face(shape: tuple[int, int], analyser: FaceAnalyser) -> None:
    assert analyser.detect(np.full((*shape, 3), 127, np.uint8)) == ()


def test_no_face_says_how_near_it_came(analyser: FaceAnalyser, photo: Callable[[str], np.ndarray]) -> None:
    search = analyser.search(photo("no_face.jpeg"))
    assert search.faces == ()
    with pytest.raises(NoFaceError) as caught:
        search.require("reference 2 of 3", "no_face.jpeg")
    assert re.fullmatch(
        r"No face found in reference 2 of 3 \('no_face.jpeg', 400x400 px; tried 10 scales and 4 rotations; "
        r"best score 0\.[01]\d\). Use a photo where the whole head is visible\. If this is a drawing: .*",
        str(caught.value),
    )
    (box,) = re.findall(r"'(box [^']+)'", str(caught.value))  # the way out that it offers is one
    assert which_face(box) == Box(0.3, 0.1, 0.6, 0.5)


UP = np.array([[38, 52], [74, 52], [56, 72], [42, 92], [71, 92]], float)


def sighting(score: float, points: np.ndarray = UP) -> Sighting:
    return Sighting(np.array([[0.0, 0.0, 9.0, 9.0]]), points[None], np.array([score]))


def test_a_sure_face_costs_one_look() -> None:
    looks: list[tuple[View, int]] = []

    def look(view: View, turn: int) -> Sighting:
        looks.append((view, turn))
        return sighting(0.85)

    assert search_views(look).best_score == 0.85
    assert looks == [(VIEWS[0], 0)]


def test_a_doubtful_face_is_looked_at_from_all_sides() -> None:
    scores = {0: 0.7, 1: 0.6, 2: 0.88, 3: 0.1}
    assert search_views(lambda view, turn: sighting(scores[turn])).best_score == 0.88
    lying = np.stack([UP[:, 1], -UP[:, 0]], axis=1)  # a high score, and the head on its side
    assert roll_degrees(lying) == pytest.approx(90, abs=2)
    turned = {0: sighting(0.81, lying), 1: sighting(0.86), 2: sighting(0.2), 3: sighting(0.6)}
    assert search_views(lambda view, turn: turned[turn]).best_score == 0.86


def test_every_view_is_tried_before_giving_up() -> None:
    looks: list[tuple[View, int]] = []

    def look(view: View, turn: int) -> Sighting:
        looks.append((view, turn))
        return sighting(0.49 if (view, turn) == (VIEWS[3], 2) else 0.1)

    assert search_views(look).best_score == 0.49
    assert len(looks) == len(set(looks)) == 4 * len(VIEWS)
    assert search_views(lambda view, turn: Sighting.nothing()).best_score == 0


@pytest.mark.parametrize("quarter_turns", [0, 1, 2, 3])
@pytest.mark.parametrize("border", [0.0, 0.5])
def test_views_and_back(quarter_turns: int, border: float) -> None:
    """The map to a view turns as `np.rot90` does, and its inverse leads back."""
    matrix = View(100, border).matrix(200, 100, quarter_turns)
    points = np.array([[0.0, 0.0], [199.0, 0.0], [199.0, 99.0]])
    assert np.allclose(moved(moved(points, matrix), inverse(matrix)), points)
    mark = np.zeros((100, 200), np.uint8)
    mark[10, 30] = 1
    row, column = np.argwhere(np.rot90(mark, quarter_turns))[0]
    height, width = np.rot90(mark, quarter_turns).shape
    centred = np.array([column - (width - 1) / 2, row - (height - 1) / 2]) / (2 * (1 + 2 * border))
    assert np.allclose(moved(np.array([30.0, 10.0]), matrix), centred + 49.5)


def test_alignment_undoes_a_known_map() -> None:
    angle = 0.3
    turn = 2.5 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = TEMPLATE @ turn.T + (40, 70)
    assert np.allclose(moved(points, alignment(points, 224)), 2 * TEMPLATE)
    assert roll_degrees(points) == pytest.approx(np.degrees(angle))


# ---------------------------------------------------------------------------------------------------- loading
def test_one_analyser_per_folder(face_models: Path) -> None:
    analyser = load_face_analyser(face_models)
    assert load_face_analyser(face_models) is analyser
    assert analyser.recogniser == "w600k_mbf_dequant_f32-" + analyser.recogniser[-8:]
    assert analyser.provider == "CPUExecutionProvider"
    faces_module.unload()
    assert load_face_analyser(face_models) is not analyser


def test_threads_take_turns(analyser: FaceAnalyser, photo: Callable[[str], np.ndarray]) -> None:
    names = ("Bryan.png", "Luciano.png")
    expected = [analyser.detect(photo(name))[0].id_embedding for name in names]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda name: analyser.detect(photo(name))[0].id_embedding, names * 4))
    assert all(np.array_equal(vector, expected[i % 2]) for i, vector in enumerate(found))


def test_nothing_is_printed(face_models: Path, capfd: pytest.CaptureFixture[str]) -> None:
    faces_module.unload()
    load_face_analyser(face_models).detect(np.zeros((99, 99, 3), np.uint8))
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def pack(face_models: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(face_models, tmp_path / "pack"))


@pytest.mark.parametrize("name", ["det_500m.onnx", "w600k_mbf_dequant_f32.onnx"])
@pytest.mark.parametrize("damage", ["truncated", "empty", "text"])
def test_damaged_models(name: str, damage: str, pack: Path) -> None:
    whole = (pack / name).read_bytes()
    (pack / name).write_bytes({"truncated": whole[:90_112], "empty": b"", "text": b"404: not found"}[damage])
    with pytest.raises(FileError) as caught:
        load_face_analyser(pack)
    text = str(caught.value)
    assert text.startswith(f"{name} is damaged or no ONNX model (")
    assert text.endswith("Delete it and get it again.")
    assert ("2,524,817 were expected" in text) == (name == "det_500m.onnx")


def test_models_that_are_not_what_their_names_say(pack: Path) -> None:
    shutil.copy(pack / "w600k_mbf_dequant_f32.onnx", pack / "det_500m.onnx")
    with pytest.raises(FileError, match=r"det_500m\.onnx is not a detector with five points"):
        load_face_analyser(pack)


def test_a_folder_without_models(tmp_path: Path) -> None:
    with pytest.raises(MissingModelError, match="holds no face models"):
        load_face_analyser(tmp_path)


@pytest.mark.parametrize(
    ("missing", "package"),
    [("onnxruntime", "onnxruntime"), ("cv2", "opencv-python-headless")],
)
def test_missing_packages(missing: str, package: str, face_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    faces_module.unload()
    with pytest.raises(MissingPackageError) as caught:
        load_face_analyser(face_models)
    assert str(caught.value).startswith(f"Face analysis is off: {missing} could not be imported (")
    assert str(caught.value).endswith(f'Run: "{sys.executable}" -m pip install --no-deps {package}')


def test_insightface_and_onnx_are_not_needed(
    face_models: Path, photo: Callable[[str], np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("insightface", "onnx", "skimage", "google.protobuf"):
        monkeypatch.setitem(sys.modules, name, None)
    faces_module.unload()
    assert len(load_face_analyser(face_models).detect(photo("Luciano.png"))) == 1


def test_importing_costs_nothing() -> None:
    """The heavy packages come with the first photo."""
    code = "import sys, lib_faceid.faces.analyser; print({'insightface', 'onnxruntime', 'cv2'} & set(sys.modules))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert output.stdout.strip() == "set()"
