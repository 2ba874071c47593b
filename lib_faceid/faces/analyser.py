"""A photo -> the faces in it: where they are, who they are (512 numbers), and the crops that CLIP sees.

The networks want BGR; what enters or leaves here is RGB. The only module that imports onnxruntime.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from lib_faceid.arguments import as_path, one_of
from lib_faceid.errors import FileError, MissingPackageError
from lib_faceid.faces.any_recogniser import AnyRecogniser, JudgePixels
from lib_faceid.faces.by_hand import edges_px, points_in
from lib_faceid.faces.crops import CLIP_CROP_PX, aligned
from lib_faceid.faces.face import Face, FaceSearch, largest
from lib_faceid.faces.geometry import Floats
from lib_faceid.faces.looks import Looks
from lib_faceid.faces.networks import ArcFace, Scrfd, is_mxnet
from lib_faceid.faces.onnx_nodes import first_node_names
from lib_faceid.faces.packs import PUBLISHED_BYTES, FacePack, require_face_pack
from lib_faceid.faces.recognisers import usual_length
from lib_faceid.faces.search import Sighting, search_box, search_photo
from lib_faceid.models.checkpoint import sha256_of
from lib_faceid.pictures.pixels import require_rgb
from lib_faceid.units.region import Box

__all__ = [
    "Device", "Face", "FaceAnalyser", "FaceSearch", "check_packages", "largest", "load_face_analyser", "load_judge",
    "unload",
]  # fmt: skip

Device = Literal["cpu", "auto"]

CPU = "CPUExecutionProvider"
# The others that onnxruntime may list compile the model first, or fall back for most of it.
FAST_PROVIDERS = ("CUDAExecutionProvider", "ROCMExecutionProvider", "DmlExecutionProvider")
REPORTED_SCORE = 0.05  # what scores less is not even counted


class FaceAnalyser:
    """A detector and a recogniser. Threads may share one: they take turns.

    >>> len(load_face_analyser().detect(read_photo("me.jpg")))
    1
    """

    def __init__(self, detector: _Detector, recogniser: _Recogniser, recogniser_id: str) -> None:
        self._detector = detector
        self._recogniser = recogniser
        self._lock = threading.Lock()
        self.recogniser = recogniser_id
        """File name and short SHA-256 of the recogniser. Embeddings compare only where this is the same."""
        self.provider: str = detector.session.get_providers()[0]
        """Where it really runs, for example "CPUExecutionProvider"."""

    def detect(self, image_rgb: NDArray[np.uint8]) -> tuple[Face, ...]:
        """Return the faces of an upright photo, left to right, then top to bottom; none is an empty tuple."""
        return self.search(image_rgb).faces

    def search(self, image_rgb: NDArray[np.uint8]) -> FaceSearch:
        """Return the faces of an upright photo, and how near it came if there are none.

        One view after another is tried until a face scores 0.5: the photo as it is, in a border, smaller, then turned;
        a large one in tiles, too. Crops and embeddings always come from the photo's own pixels, straightened.
        """
        require_rgb(image_rgb)
        with self._lock:
            seen = search_photo(Looks(image_rgb, self._detect))
            faces = [self._face(image_rgb, *one) for one in _in_order(seen.found)]
        return FaceSearch(tuple(faces), seen.best_score, (image_rgb.shape[1], image_rgb.shape[0]))

    def face_in(self, image_rgb: NDArray[np.uint8], box: Box) -> Face:
        """Return the face in a box that somebody drew.

        It is looked for there, from near by and in four rotations; where the detector sees none, it is taken for
        upright and frontal, and its score is 0.
        """
        require_rgb(image_rgb)
        size_px = (image_rgb.shape[1], image_rgb.shape[0])
        drawn = np.array(edges_px(box, size_px))
        with self._lock:
            seen = search_box(Looks(image_rgb, self._detect), drawn)
            if seen.best_score:
                return self._face(image_rgb, *next(_in_order(seen)))
            return self._face(image_rgb, drawn, points_in(box, size_px), 0.0)

    def _detect(
        self, image_bgr: NDArray[np.uint8], size_px: tuple[int, int]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return self._detector.detect(image_bgr, input_size=size_px)

    def _face(self, image_rgb: NDArray[np.uint8], box: Floats, points: Floats, score: float) -> Face:
        x0, y0, x1, y1 = (float(edge) for edge in box)
        crop_rgb = self._recogniser.crop(image_rgb, box, points)
        return Face(
            box=(x0, y0, x1, y1),
            points=points.astype(np.float32),
            score=score,
            id_embedding=self._recogniser.get_feat(crop_rgb[:, :, ::-1]).reshape(-1).astype(np.float32),
            crop_rgb=aligned(image_rgb, points, CLIP_CROP_PX),
            usual_length=usual_length(self.recogniser),
        )


def _in_order(seen: Sighting) -> Iterator[tuple[Floats, Floats, float]]:
    """Give box, points and score of each face, left to right, then top to bottom."""
    middles = seen.boxes[:, :2] + seen.boxes[:, 2:]
    for i in np.lexsort((middles[:, 1], middles[:, 0])):
        yield seen.boxes[i], seen.points[i], float(seen.scores[i])


def load_face_analyser(folder: Path | str | None = None, *, device: Device = "cpu") -> FaceAnalyser:
    """Return the analyser of a folder with a detector and a recogniser, or of the best in the usual places.

    It is kept until `unload`. "auto" takes a GPU where onnxruntime has one; the CPU needs a fraction of a
    second for a new photo. Raises MissingModelError, FileError for a damaged model, MissingPackageError.

    >>> load_face_analyser().provider
    'CPUExecutionProvider'
    """
    one_of(device, "device", get_args(Device))
    pack = require_face_pack(None if folder is None else as_path(folder, "folder"))
    with _loading:
        return _load(pack, device)


def load_judge(
    recogniser: Path | str, pixels: JudgePixels | None = None, folder: Path | str | None = None
) -> FaceAnalyser:
    """Return an analyser with any recogniser in an ONNX file, and the detector of a folder or of the usual places.

    pixels: how it takes a face; without, as ArcFace does. Raises MissingModelError, FileError, MissingPackageError.
    """
    path, pixels = as_path(recogniser, "recogniser"), pixels or JudgePixels()
    if not path.is_file():
        raise FileError(f"There is no {path}. An ONNX file of a recogniser was expected.")
    runtime, detector = _packages(), require_face_pack(None if folder is None else as_path(folder, "folder")).detector
    found = AnyRecogniser(_session(runtime, path, "cpu"), pixels, path.name)
    name = f"{path.stem}-{sha256_of(path)[:8]}{pixels.name}"
    return FaceAnalyser(_detector(detector, _session(runtime, detector, "cpu")), found, name)


def check_packages(device: Device = "cpu") -> str:
    """Return what face models would run on, such as "CPUExecutionProvider". Raises MissingPackageError."""
    return _providers(_packages(), device)[0]


def unload() -> None:
    """Forget the analysers that are kept in memory."""
    _load.cache_clear()


_loading = threading.Lock()


@functools.lru_cache(maxsize=2)
def _load(pack: FacePack, device: Device) -> FaceAnalyser:
    runtime = _packages()
    detector = _detector(pack.detector, _session(runtime, pack.detector, device))
    session = _session(runtime, pack.recogniser, device)
    recogniser = ArcFace(session, is_mxnet=is_mxnet(first_node_names(pack.recogniser, 8)))
    if list(recogniser.output_shape[-1:]) != [512]:
        raise _other_kind(pack.recogniser, "recogniser of 512 numbers")
    return FaceAnalyser(detector, recogniser, f"{pack.recogniser.stem}-{sha256_of(pack.recogniser)[:8]}")


def _detector(path: Path, session: Any) -> Scrfd:
    try:
        return Scrfd(session, REPORTED_SCORE)
    except ValueError as error:
        raise _other_kind(path, "detector with five points") from error


def _session(runtime: Any, path: Path, device: Device) -> Any:
    """Return onnxruntime's session of one ONNX file. Raises FileError for a damaged one."""
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # errors; else every size but 640 is warned about, line after line
    try:
        providers = _providers(runtime, device)
        return runtime.InferenceSession(str(path), sess_options=options, providers=providers)
    except Exception as error:  # onnxruntime and protobuf have an exception type for every kind of damage
        size, published = path.stat().st_size, PUBLISHED_BYTES.get(path.name)
        expected = f", {published:,} were expected" if published not in (None, size) else ""
        raise FileError(
            f"{path.name} is damaged or no ONNX model ({size:,} bytes{expected}). Delete it and get it again."
        ) from error


def _providers(runtime: Any, device: Device) -> list[str]:
    fast = FAST_PROVIDERS if device == "auto" else ()
    return [name for name in (*fast, CPU) if name in runtime.get_available_providers()]


def _other_kind(path: Path, kind: str) -> FileError:
    return FileError(
        f"{path.name} is not a {kind}, which was expected by its name. Use the files of a face model pack such as "
        "buffalo_l."
    )


def _packages() -> Any:
    """Return onnxruntime, where OpenCV is there too."""
    try:
        import_module("cv2")
        import onnxruntime
    except Exception as error:  # not only ImportError: a wheel built for another numpy raises ValueError
        packages = {"cv2": "opencv-python-headless"}
        name = _missing_module(error) or "onnxruntime"
        raise MissingPackageError(
            f"Face analysis is off: {name} could not be imported ({error}). "
            f'Run: "{sys.executable}" -m pip install --no-deps {packages.get(name, name)}'
        ) from error
    return onnxruntime


def _missing_module(error: BaseException) -> str:
    """Return the package at the root of an import error; "" where it is none."""
    return error.name.split(".")[0] if isinstance(error, ImportError) and error.name else ""


class _Detector(Protocol):
    session: Any

    def detect(
        self, img: NDArray[np.uint8], input_size: tuple[int, int]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...


class _Recogniser(Protocol):
    def crop(self, image_rgb: NDArray[np.uint8], box: Floats, points: Floats, /) -> NDArray[np.uint8]: ...

    def get_feat(self, imgs: NDArray[np.uint8]) -> NDArray[np.float32]: ...
