"""Which face model pack is used: buffalo_l wherever it lies, else another one.

A pack is a folder with a detector and a recogniser. The other models of a pack (landmarks, age) are not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from lib_faceid.errors import MissingModelError
from lib_faceid.faces.recognisers import PACKS, in_pack, is_as_trained
from lib_faceid.models.folders import Roots, face_pack_folders, usual_roots
from lib_faceid.models.leftovers import is_leftover
from lib_faceid.models.listing import children, is_folder

__all__ = ["PUBLISHED_BYTES", "FacePack", "find_face_pack", "require_face_pack"]

# Best first: the published FaceID adapters know the vectors of buffalo_l's w600k_r50, which buffalo_m shares.
PACK_NAMES = ("buffalo_l", "buffalo_m", "buffalo_s", "buffalo_sc", "antelopev2")
DETECTOR_NAMES = ("det_10g*.onnx", "scrfd_10g_bnkps*.onnx", "det_*.onnx", "scrfd_*.onnx")
RECOGNISER_NAMES = (
    "w600k_r50*.onnx",
    "w600k_*.onnx",
    "glintr100*.onnx",
    "glint*.onnx",
    "*arcface*.onnx",
    "*curricular*.onnx",
)
PUBLISHED_BYTES = {
    "det_10g.onnx": 16_923_827,
    "det_500m.onnx": 2_524_817,
    "scrfd_10g_bnkps.onnx": 16_923_827,
    "w600k_r50.onnx": 174_383_860,
    "glintr100.onnx": 260_665_334,
}


@dataclass(frozen=True)
class FacePack:
    """The two files of a pack that are used."""

    detector: Path
    recogniser: Path


def find_face_pack(roots: Roots, recogniser: str = "") -> FacePack | None:
    """Return the best pack there is: buffalo_l anywhere before another pack anywhere.

    recogniser: of packs with this one alone, such as "glintr100".
    """
    packs = _packs(roots)
    return next((one for one in packs if not recogniser or is_as_trained(one.recogniser.stem, recogniser)), None)


def _packs(roots: Roots) -> Iterator[FacePack]:
    """Give the packs, best first; that of a folder which the user named before those in it."""
    if roots.face_models is not None and (pack := _pack_in(roots.face_models)):
        yield pack
    folders = face_pack_folders(roots)
    others = {child.name for folder in folders for child in _subfolders(folder)} - set(PACK_NAMES)
    candidates = (folder / name for name in (*PACK_NAMES, *sorted(others)) for folder in folders)
    yield from (pack for folder in candidates if (pack := _unpacked(folder)))


def require_face_pack(folder: Path | None = None, roots: Roots | None = None, recogniser: str = "") -> FacePack:
    """Return the pack in `folder`, or without one the best pack of the roots (default: the usual ones).

    recogniser: as for `find_face_pack`. Raises MissingModelError, which says which files to put where.
    """
    roots = Roots(face_models=folder) if folder else roots or usual_roots()
    if pack := find_face_pack(roots, recogniser):
        return pack
    if recogniser:
        place = next((folder for folder in face_pack_folders(roots)), Path("a folder of models"))
        raise MissingModelError(
            f"The face models with the recogniser {in_pack(recogniser)} are not here. Put {recogniser}.onnx and a "
            f"detector into {place / PACKS.get(recogniser, recogniser)}. No network was used."
        )
    if roots.face_models is not None:
        raise MissingModelError(
            f"{roots.face_models} holds no face models: a detector (such as det_10g.onnx) and a recogniser "
            "(such as w600k_r50.onnx) were expected in it, or in a folder models/<pack> of it."
        )
    place = next((folder / PACK_NAMES[0] for folder in face_pack_folders(roots)), "a folder of models")
    raise MissingModelError(
        "There are no face models. Put det_10g.onnx (16.1 MiB) and w600k_r50.onnx (166 MiB) of the pack "
        f"buffalo_l in {place}. No network was used."
    )


def _unpacked(folder: Path) -> FacePack | None:
    """Return the pack in a folder, or in a folder inside it: zips unpack to antelopev2/antelopev2."""
    candidates = (folder, *_subfolders(folder))
    return next((pack for candidate in candidates if (pack := _pack_in(candidate))), None)


def _pack_in(folder: Path) -> FacePack | None:
    files = [path for path in children(folder) if path.suffix.lower() == ".onnx" and not is_leftover(path)]
    detector, recogniser = _first_match(files, DETECTOR_NAMES), _first_match(files, RECOGNISER_NAMES)
    return FacePack(detector, recogniser) if detector and recogniser else None


def _first_match(files: list[Path], patterns: Iterable[str]) -> Path | None:
    matches = (file for pattern in patterns for file in files if fnmatch(file.name.lower(), pattern))
    return next(matches, None)


def _subfolders(folder: Path) -> list[Path]:
    return [child for child in children(folder) if is_folder(child) and not is_leftover(child)]
