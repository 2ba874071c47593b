"""Any recogniser in an ONNX file as a judge: its size is its file's, its pixels are those that are named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lib_faceid.errors import FileError
from lib_faceid.faces.analyser import load_face_analyser, load_judge
from lib_faceid.faces.any_recogniser import JudgePixels
from lib_faceid.faces.crops import aligned
from lib_faceid.pictures.photo import read_photo

onnx = pytest.importorskip("onnx")


def made(path: Path, shape: Sequence[Any], *, is_last: bool = False) -> Path:
    """A model that gives the mean of each colour of what it is shown, three numbers in its own order."""
    axes = onnx.helper.make_tensor("axes", onnx.TensorProto.INT64, [2], [1, 2] if is_last else [2, 3])
    node = onnx.helper.make_node("ReduceMean", ["seen", "axes"], ["vector"], keepdims=0)
    info, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph([node], "made", [info("seen", kind, shape)], [info("vector", kind, None)], [axes])
    opset = onnx.helper.make_opsetid("", 18)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8), str(path))
    return path


@pytest.fixture
def photo(data_folder: Path) -> np.ndarray:
    return read_photo(data_folder / "photos" / "Paul.jpeg")


@pytest.mark.parametrize("is_last", [False, True])
def test_the_face_is_shown_in_the_files_size_with_the_colours_and_the_scale_that_are_named(
    is_last: bool, tmp_path: Path, face_models: Path, photo: np.ndarray
) -> None:
    shape = ["n", 96, 96, 3] if is_last else [1, 3, 96, 96]
    path = made(tmp_path / "adaface_ir18.onnx", shape, is_last=is_last)
    usual = load_judge(path, folder=face_models)
    (face,) = usual.detect(photo)
    expected = (aligned(photo, face.points, 96).astype(float).mean((0, 1)) - 127.5) / 127.5
    assert face.id_embedding == pytest.approx(expected, abs=1e-4)
    other = load_judge(path, JudgePixels("bgr", 0, 255), face_models)
    (turned,) = other.detect(photo)
    assert turned.id_embedding == pytest.approx(expected[::-1] / 2 + 0.5, abs=1e-4)
    assert usual.recogniser.startswith("adaface_ir18-")
    assert other.recogniser == f"{usual.recogniser}-bgr-0-255", "another judge: what one has seen is not the other's"
    (known,) = load_face_analyser(face_models).detect(photo)
    assert np.array_equal(known.points, face.points), "the detector is the pack's"


def test_facenet_sees_the_box_as_it_is(tmp_path: Path, face_models: Path, photo: np.ndarray) -> None:
    path = made(tmp_path / "facenet.onnx", ["n", 3, "h", "w"])
    judge = load_judge(path, JudgePixels("rgb", 127.5, 128, "box", 160), face_models)
    (face,) = judge.detect(photo)
    x0, y0, x1, y1 = (round(edge) for edge in face.box)
    expected = (photo[y0:y1, x0:x1].astype(float).mean((0, 1)) - 127.5) / 128
    assert face.id_embedding == pytest.approx(expected, abs=0.02)
    with pytest.raises(FileError, match="--judge-size"):
        load_judge(path, folder=face_models)


def test_what_cannot_judge_is_a_sentence(tmp_path: Path, face_models: Path) -> None:
    with pytest.raises(FileError, match="There is no"):
        load_judge(tmp_path / "none.onnx", folder=face_models)
    with pytest.raises(FileError, match=r"takes \[1, 512\], and a recogniser takes"):
        load_judge(_flat(tmp_path / "flat.onnx"), folder=face_models)
    with pytest.raises(FileError, match="takes pictures of 96x96, and 112 was named"):
        load_judge(made(tmp_path / "a.onnx", [1, 3, 96, 96]), JudgePixels(size_px=112), face_models)
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(FileError, match="is damaged or no ONNX model"):
        load_judge(tmp_path / "broken.onnx", folder=face_models)


def _flat(path: Path) -> Path:
    info, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    node = onnx.helper.make_node("Identity", ["seen"], ["vector"])
    graph = onnx.helper.make_graph([node], "made", [info("seen", kind, [1, 512])], [info("vector", kind, [1, 512])])
    opset = onnx.helper.make_opsetid("", 17)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8), str(path))
    return path
