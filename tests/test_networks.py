"""The detector and the recogniser give what insightface's own classes give of the same models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lib_faceid.errors import FileError
from lib_faceid.faces.crops import aligned
from lib_faceid.faces.networks import ArcFace, Scrfd, is_mxnet
from lib_faceid.faces.onnx_nodes import first_node_names
from lib_faceid.faces.packs import require_face_pack
from lib_faceid.pictures.photo import read_photo

model_zoo: Any = pytest.importorskip("insightface.model_zoo")
onnx: Any = pytest.importorskip("onnx")
onnxruntime: Any = pytest.importorskip("onnxruntime")
SIDE = 128  # of the made-up detectors' input
LEVELS = {9: (3, 2), 15: (5, 1)}  # outputs: strides, anchors at each place


@pytest.mark.parametrize("name", ["astronaut.png", "solvay_conference_1927.png", "Paul.jpeg", "no_face.jpeg"])
@pytest.mark.parametrize("size", [(640, 640), (320, 320)])
def test_they_give_what_insightface_gives(
    face_models: Path, data_folder: Path, name: str, size: tuple[int, int]
) -> None:
    pack = require_face_pack(face_models)
    session, other = (onnxruntime.InferenceSession(str(path)) for path in (pack.detector, pack.recogniser))
    image_bgr = np.ascontiguousarray(read_photo(data_folder / "photos" / name)[:, :, ::-1])
    boxes, points = Scrfd(session, 0.05).detect(image_bgr, size)
    expected = _insightface(pack.detector, session).detect(image_bgr, input_size=size)
    np.testing.assert_allclose(boxes, expected[0], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(points, expected[1], rtol=1e-4, atol=1e-3)
    recogniser = ArcFace(other, is_mxnet=is_mxnet(first_node_names(pack.recogniser, 8)))
    oracle = model_zoo.ArcFaceONNX(model_file=str(pack.recogniser), session=other)
    assert (recogniser.input_size, recogniser.output_shape) == (oracle.input_size, oracle.output_shape)
    for one in points[:3]:
        face = aligned(image_bgr, one, 112)
        np.testing.assert_allclose(recogniser.get_feat(face), oracle.get_feat(face), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("outputs", [9, 15])
@pytest.mark.parametrize("is_batched", [False, True])
def test_detectors_of_other_layouts(tmp_path: Path, outputs: int, is_batched: bool) -> None:
    """Three or five feature maps, one or two anchors, with and without the batch's dimension."""
    path = _detector(tmp_path / "det.onnx", outputs, is_batched)
    session = onnxruntime.InferenceSession(str(path))
    image_bgr = np.zeros((90, 200, 3), np.uint8)
    boxes, points = Scrfd(session, 0.9).detect(image_bgr, (SIDE, SIDE))
    expected = _insightface(path, session, 0.9).detect(image_bgr, input_size=(SIDE, SIDE))
    assert len(boxes) > 3
    np.testing.assert_allclose(boxes, expected[0], rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(points, expected[1], rtol=1e-5, atol=1e-3)


def test_a_detector_whose_outputs_do_not_fit(tmp_path: Path) -> None:
    session = onnxruntime.InferenceSession(str(_detector(tmp_path / "det.onnx", 9, is_batched=False, spare=1)))
    with pytest.raises(FileError, match=r"The detector gave 513 scores, \[513, 4\] boxes .* 512 of each were expected"):
        Scrfd(session, 0.5).detect(np.zeros((64, 64, 3), np.uint8), (SIDE, SIDE))


def test_a_model_that_cannot_run(tmp_path: Path) -> None:
    session = onnxruntime.InferenceSession(str(_detector(tmp_path / "det.onnx", 9, is_batched=False)))
    with pytest.raises(FileError, match="A face model could not run on an input of"):
        ArcFace(session).get_feat(np.zeros((SIDE // 2, SIDE // 2, 3), np.uint8))


def test_another_number_of_outputs(tmp_path: Path) -> None:
    session = onnxruntime.InferenceSession(str(_detector(tmp_path / "det.onnx", 6, is_batched=False)))
    with pytest.raises(ValueError, match="6 outputs, 9 or 15 were expected"):
        Scrfd(session, 0.5)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["_minusscalar0", "_mulscalar0", "conv0"], True),
        (["Sub_0", "Mul_1"], True),
        (["Conv_0", "PRelu_1"], False),
        (["Sub_0", "Conv_1"], False),
        (["Submarine", "Multiple"], True),  # as insightface sees them: by how they begin
        (["MySub", "MyMul"], False),
        ([*map("Conv{}".format, range(8)), "Sub", "Mul"], False),
    ],
)
def test_who_scales_the_pixels(tmp_path: Path, names: list[str], expected: bool) -> None:
    """insightface reads the same from the first eight nodes, by the package onnx."""
    path = tmp_path / "w600k.onnx"
    ends = ["x", *(f"y{i}" for i in range(len(names)))]
    nodes = [onnx.helper.make_node("Identity", [ends[i]], [ends[i + 1]], name=name) for i, name in enumerate(names)]
    shape = [1, 3, 112, 112]
    infos = [onnx.helper.make_tensor_value_info(end, onnx.TensorProto.FLOAT, shape) for end in (ends[0], ends[-1])]
    _save(path, nodes, infos[:1], infos[1:], [])
    assert first_node_names(path, 8) == names[:8]
    assert is_mxnet(first_node_names(path, 8)) is expected
    oracle = model_zoo.ArcFaceONNX(model_file=str(path), session=onnxruntime.InferenceSession(str(path)))
    assert (oracle.input_mean == 0) is expected


@pytest.mark.parametrize("content", [b"\x00", b"\xff" * 64, b"\x3a\xff\xff\xff\xff\x0f", b"\x3a\x04\x0a\x02\x1a\x09"])
def test_names_of_what_is_no_model(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.onnx").write_bytes(content)
    assert first_node_names(tmp_path / "a.onnx", 8) in ([], [""])


def _insightface(path: Path, session: Any, least_score: float = 0.05) -> Any:
    detector = model_zoo.SCRFD(model_file=str(path), session=session)
    detector.prepare(0, det_thresh=least_score)
    return detector


def _detector(path: Path, outputs: int, is_batched: bool, spare: int = 0) -> Path:
    """Write a detector that gives the same random faces of every picture; spare: so many rows too many."""
    levels, anchors = LEVELS.get(outputs, (2, 2))
    random = np.random.default_rng(outputs)
    made: list[tuple[str, Any]] = []
    for part, width in (("score", 1), ("box", 4), ("points", 10)):
        for level in range(levels):
            rows = anchors * (SIDE // (8 << level)) ** 2 + (spare if level == 0 else 0)
            values = random.random((rows, width), np.float32) * (1 if width == 1 else 3)
            made.append((f"{part}{level}", values[None] if is_batched else values))
    initializers = [onnx.numpy_helper.from_array(values, f"{name}_") for name, values in made]
    nodes = [onnx.helper.make_node("Identity", [f"{name}_"], [name]) for name, _ in made]
    info, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    inputs = [info("image", kind, [1, 3, SIDE, SIDE])]
    _save(path, nodes, inputs, [info(name, kind, values.shape) for name, values in made], initializers)
    return path


def _save(path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], initializers: list[Any]) -> None:
    graph = onnx.helper.make_graph(nodes, "made", inputs, outputs, initializers)
    opset = onnx.helper.make_opsetid("", 17)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8), str(path))
