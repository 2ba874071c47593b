"""Where models are looked for: what other tools already put on the disk is used where it lies.

The lists are data. `*_files` and `*_folders` give candidates, best first, without touching the disk; `find_*`
gives what is there; `require_*` raises MissingModelError, which says where to put the missing file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lib_faceid.errors import MissingModelError
from lib_faceid.models.catalogue import Entry, entry
from lib_faceid.models.leftovers import is_leftover
from lib_faceid.models.shards import is_later_part

__all__ = [
    "Roots",
    "adapter_folders",
    "clip_vision_files",
    "face_pack_folders",
    "find_adapters",
    "find_clip_vision",
    "place_of",
    "require_clip_vision",
    "usual_roots",
]

CLIP_FOLDERS = (
    "faceid",
    "clip_vision",
    "ControlNetPreprocessor",
    "ControlNetPreprocessor/clip_vision",
    "ipadapter",
)
CLIP_NAMES = (
    "CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors",
    "CLIP-ViT-H-14.safetensors",
    "clip_h.safetensors",
    "CLIP-ViT-H-14-laion2B-s32B-b79K/model.safetensors",
    "image_encoder/model.safetensors",
    "SD1.5/model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "CLIP-ViT-H-14-laion2B-s32B-b79K/open_clip_pytorch_model.safetensors",
    "model.safetensors",
    "clip_h.pth",
    "image_encoder/pytorch_model.bin",
    "SD1.5/pytorch_model.bin",
)
ADAPTER_FOLDERS = ("faceid", "ipadapter", "ControlNet", "controlnet")
ADAPTER_SUFFIXES = (".safetensors", ".bin", ".pth")


@dataclass(frozen=True)
class Roots:
    """The places on one machine that may hold models. None of them has to exist."""

    models: tuple[Path, ...] = ()
    """Folders laid out like a WebUI's `models`."""
    controlnet: Path | None = None
    """The folder of the extension sd-webui-controlnet."""
    comfyui_models: Path | None = None
    home: Path | None = None
    face_models: Path | None = None
    """Named by the user: a pack, or a folder with `models/<pack>` in it. Then no other place counts."""
    clip_vision: Path | None = None
    """Named by the user: a file, or a folder with one. Then no other place counts."""

    @property
    def all_models(self) -> tuple[Path, ...]:
        """The models folders, ComfyUI's last."""
        return self.models if self.comfyui_models is None else (*self.models, self.comfyui_models)


def usual_roots(
    webui: Path | None = None,
    webui_models: Path | None = None,
    comfyui: Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Roots:
    """Return the roots of a WebUI's folder (and its models folder, if moved), or of a program without one.

    `FACEID_FACE_MODELS` and `FACEID_CLIP_VISION` name one place and win; `FACEID_MODELS` is looked at first.
    """

    def named(key: str) -> Path | None:
        return Path(environ[key]).expanduser() if environ.get(key) else None

    project = Path(__file__).resolve().parents[2]
    own = (Path("models"), project / "models") if webui is None else (webui_models or webui / "models",)
    first = named("FACEID_MODELS")
    return Roots(
        models=own if first is None else (first, *own),
        controlnet=None if webui is None else webui / "extensions" / "sd-webui-controlnet",
        comfyui_models=None if comfyui is None else comfyui / "models",
        home=Path.home(),
        face_models=named("FACEID_FACE_MODELS"),
        clip_vision=named("FACEID_CLIP_VISION"),
    )


def face_pack_folders(roots: Roots) -> tuple[Path, ...]:
    """Return the folders in which face model packs lie as subfolders."""
    if roots.face_models is not None:
        return (roots.face_models / "models", roots.face_models)
    folders = [models / "insightface" / "models" for models in roots.models]
    if roots.controlnet is not None:
        folders.append(roots.controlnet / "annotator/downloads/insightface/models")
    if roots.comfyui_models is not None:
        folders.append(roots.comfyui_models / "insightface" / "models")
    if roots.home is not None:
        folders.append(roots.home / ".insightface" / "models")
    return tuple(folders)


def clip_vision_files(roots: Roots) -> tuple[Path, ...]:
    """Return the files that may be the image encoder CLIP ViT-H."""
    if (named := roots.clip_vision) is not None:
        return (named, *(named / name for name in ("model.safetensors", *CLIP_NAMES, "pytorch_model.bin")))
    folders = [models / folder for models in roots.models for folder in CLIP_FOLDERS]
    if roots.controlnet is not None:
        folders.append(roots.controlnet / "annotator/downloads/clip_vision")
    if roots.comfyui_models is not None:
        folders += [roots.comfyui_models / folder for folder in CLIP_FOLDERS]
    return tuple(folder / name for folder in folders for name in CLIP_NAMES)


def find_clip_vision(roots: Roots) -> Path | None:
    """Return the first of `clip_vision_files` that is there."""
    return next((path for path in clip_vision_files(roots) if path.is_file()), None)


def require_clip_vision(roots: Roots | None = None) -> Path:
    """Return the file of CLIP ViT-H of the roots (default: the usual ones)."""
    roots = roots or usual_roots()
    if path := find_clip_vision(roots):
        return path
    place = place_of(entry("clip_vit_h"), roots)
    raise MissingModelError(
        "The Plus variants need the image encoder CLIP ViT-H (2.5 GB), which is not here. Put "
        f"models/image_encoder/model.safetensors of h94/IP-Adapter at {place}. No network was used."
    )


def adapter_folders(roots: Roots) -> tuple[Path, ...]:
    """Return the folders in which adapters lie, at any depth."""
    folders = [models / name for models in roots.all_models for name in ADAPTER_FOLDERS]
    return (*folders, roots.controlnet / "models") if roots.controlnet is not None else tuple(folders)


def find_adapters(roots: Roots) -> tuple[Path, ...]:
    """Return every file that may be an adapter, by folder, then by name; of a model in parts the first."""
    files = (
        path
        for folder in adapter_folders(roots)
        for path in sorted(folder.rglob("*"), key=lambda path: str(path).lower())
        if path.suffix.strip().lower() in ADAPTER_SUFFIXES and not is_leftover(path, folder) and path.is_file()
    )
    return tuple(_distinct(path for path in files if not is_later_part(path)))


def place_of(one: Entry, roots: Roots) -> Path:
    """Return where a model of the catalogue goes: a file, or the folder for what is in an archive.

    It is one of the places in which it is looked for, and the named one where the user named one.
    """
    if one.kind == "face_models" and roots.face_models is not None:
        return face_pack_folders(roots)[0] / Path(one.folder).name
    if one.kind == "clip_vision" and (named := roots.clip_vision) is not None:
        return named if named.suffix.lower() in ADAPTER_SUFFIXES else named / "model.safetensors"
    folder = next(iter(roots.models), Path("models")) / one.folder
    return folder if one.members else folder / one.file_name


def _distinct(files: Iterable[Path]) -> Iterator[Path]:
    """Drop a file seen before: ControlNet and controlnet are one folder where case does not count."""
    seen: set[tuple[int, int]] = set()
    for path in files:
        status = path.stat()
        key = (status.st_dev, status.st_ino)
        if key not in seen:
            seen.add(key)
            yield path
