"""Where models are looked for: what other tools already put on the disk is used where it lies.

The lists are data. `*_files` and `*_folders` give candidates, best first, without touching the disk; `find_*`
gives what is there; `require_*` raises MissingModelError, which says where to put the missing file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lib_faceid.errors import MissingModelError
from lib_faceid.models.catalogue import Entry, entry
from lib_faceid.models.image_encoders import IMAGE_ENCODERS, encoder_in, image_encoder
from lib_faceid.models.leftovers import is_leftover
from lib_faceid.models.listing import children, files_below, is_file
from lib_faceid.models.shards import is_later_part

__all__ = [
    "DIFFUSERS_MODEL",
    "Roots",
    "adapter_folders",
    "clip_vision_files",
    "every_folder",
    "face_pack_folders",
    "find_adapters",
    "find_clip_vision",
    "find_nets",
    "net_in",
    "net_name",
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
ENCODER_FOLDERS = ("clip_vision", "ControlNetPreprocessor/clip_vision")  # with nothing but encoders in them
PEOPLE = "faces"  # below models/faceid: saved people, who are no adapters
ADAPTER_FOLDERS = ("faceid", "ipadapter", "ControlNet", "controlnet", "style_models")
DIFFUSERS_MODEL = "diffusion_pytorch_model"  # how diffusers calls the file of a net in its folder
MODEL_SUFFIXES = (".safetensors", ".bin", ".pth")


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
    """Named by the user: a file, or a folder with some. It is looked at first; another encoder than it holds is looked
    for in the usual places."""

    @property
    def own(self) -> Path:
        """The models folder in which this program keeps its own: people, presets, licences, downloads."""
        return next(iter(self.all_models), Path("models"))

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

    own = (Path("models"), *_clone_models()) if webui is None else (webui_models or webui / "models",)
    first = named("FACEID_MODELS")
    return Roots(
        models=own if first is None else (first, *own),
        controlnet=None if webui is None else webui / "extensions" / "sd-webui-controlnet",
        comfyui_models=None if comfyui is None else comfyui / "models",
        home=Path.home(),
        face_models=named("FACEID_FACE_MODELS"),
        clip_vision=named("FACEID_CLIP_VISION"),
    )


def _clone_models() -> tuple[Path, ...]:
    """Return the models folder of the clone that runs; none for an installed package, which lies beside others."""
    project = Path(__file__).resolve().parents[2]
    return (project / "models",) if (project / "pyproject.toml").is_file() else ()


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


def clip_vision_files(roots: Roots, encoder: str = "clip_vit_h") -> tuple[Path, ...]:
    """Return the files that may be an image encoder by their names; the named place, where there is one, comes first.

    Raises UnitError for an id that is not in IMAGE_ENCODERS.
    """
    names = image_encoder(encoder).file_names
    return (*_named_files(roots), *(folder / name for folder in _clip_folders(roots, CLIP_FOLDERS) for name in names))


def find_clip_vision(roots: Roots, encoder: str = "clip_vit_h") -> Path | None:
    """Return the first file that holds the encoder, by its content; without one, a file that is only named like it.

    Reading the latter says what is wrong with it.
    """
    if roots.clip_vision is not None:
        named = [path for path in _named_files(roots) if is_file(path)]
        candidates = [*named, *_files_in([roots.clip_vision])]
        found = next((path for path in candidates if encoder_in(path) == encoder), None)
        found = found or next((path for path in named if not encoder_in(path)), None)
        return found if found or not candidates else find_clip_vision(replace(roots, clip_vision=None), encoder)
    named_like_it = [path for path in clip_vision_files(roots, encoder) if is_file(path)]
    candidates = [*named_like_it, *_files_in(_clip_folders(roots, ENCODER_FOLDERS))]
    found = next((path for path in candidates if encoder_in(path) == encoder), None)
    return found or next((path for path in named_like_it if not encoder_in(path)), None)


def require_clip_vision(roots: Roots | None = None, encoder: str = "clip_vit_h") -> Path:
    """Return the file of an image encoder in the roots (default: the usual ones)."""
    roots = roots or usual_roots()
    if path := find_clip_vision(roots, encoder):
        return path
    one, published = image_encoder(encoder), entry(encoder)
    raise MissingModelError(
        f"The image encoder {one.label} ({published.about_mb / 1000:.1f} GB) is not here. Put {one.published} at "
        f"{place_of(published, roots)}. No network was used."
    )


def _named_files(roots: Roots) -> tuple[Path, ...]:
    """Return the files that may be in the place that the user named."""
    if (named := roots.clip_vision) is None:
        return ()
    every_name = [name for one in IMAGE_ENCODERS.values() for name in one.file_names]
    return (named, *(named / name for name in dict.fromkeys(["model.safetensors", *every_name, "pytorch_model.bin"])))


def _clip_folders(roots: Roots, names: tuple[str, ...]) -> Iterator[Path]:
    yield from (models / name for models in roots.models for name in names)
    if roots.controlnet is not None:
        yield roots.controlnet / "annotator/downloads/clip_vision"
    if roots.comfyui_models is not None:
        yield from (roots.comfyui_models / name for name in names)


def _files_in(folders: Iterable[Path]) -> Iterator[Path]:
    """Give the model files in the folders and in the folders in them, by name."""
    for folder in folders:
        inside = children(folder)
        for path in sorted([*inside, *(deeper for one in inside for deeper in children(one))]):
            if path.suffix.lower() in MODEL_SUFFIXES and not is_leftover(path, folder) and is_file(path):
                yield path


def adapter_folders(roots: Roots) -> tuple[Path, ...]:
    """Return the folders in which adapters lie, at any depth."""
    folders = [models / name for models in roots.all_models for name in ADAPTER_FOLDERS]
    return (*folders, roots.controlnet / "models") if roots.controlnet is not None else tuple(folders)


def find_adapters(roots: Roots) -> tuple[Path, ...]:
    """Return every file that may be an adapter, by folder, then by name; of a model in parts the first."""
    files = (
        path
        for folder in adapter_folders(roots)
        for path in _models_below(folder)
        if folder / PEOPLE not in path.parents
    )
    return tuple(_distinct(path for path in files if not is_later_part(path)))


def find_nets(roots: Roots) -> dict[str, Path]:
    """Return name -> file of what lies where ControlNets do, by folder, then by name; adapters may be among them.

    The name is that of the file, with the folders around it, and without its ending.
    """
    folders = [folder for folder in adapter_folders(roots) if folder.name.lower() == "controlnet"]
    folders += [roots.controlnet / "models"] if roots.controlnet is not None else []
    found: dict[str, Path] = {}
    for folder in folders:
        for path in _distinct(path for path in _models_below(folder) if not is_later_part(path)):
            found.setdefault(path.relative_to(folder).with_suffix("").as_posix(), path)
    return found


def net_in(folder: Path) -> Path | None:
    """Return the file of a net in a folder as diffusers saves one; None where it has none."""
    files = [path for path in children(folder) if path.name.startswith(DIFFUSERS_MODEL) and is_file(path)]
    files = [path for path in files if path.suffix in MODEL_SUFFIXES and not is_later_part(path)]
    return min(files, key=lambda path: (path.suffix != ".safetensors", path.name), default=None)


def net_name(path: Path) -> str:
    """Return what a net's file is called: by its folder, where diffusers saved it."""
    return path.parent.name if path.name.startswith(DIFFUSERS_MODEL) else path.stem


def _models_below(folder: Path) -> Iterator[Path]:
    """Give the model files in a folder, at any depth, by name."""
    for path in sorted(files_below(folder), key=lambda path: str(path).lower()):
        if path.suffix.strip().lower() in MODEL_SUFFIXES and not is_leftover(path, folder):
            yield path


def every_folder(roots: Roots) -> tuple[Path, ...]:
    """Return the folders in which models of any kind are looked for, and the models folders themselves."""
    encoders = _clip_folders(roots, CLIP_FOLDERS)
    return (*roots.all_models, *adapter_folders(roots), *face_pack_folders(roots), *encoders)


def place_of(one: Entry, roots: Roots) -> Path:
    """Return where a model of the catalogue goes: a file, or the folder for what is in an archive.

    It is one of the places in which it is looked for, and the named one where the user named one.
    """
    if one.kind == "face_models" and roots.face_models is not None:
        return face_pack_folders(roots)[0] / Path(one.folder).name
    if one.kind == "clip_vision" and (place := _named_place(one, roots)):
        return place
    folder = roots.own / one.folder
    return folder if one.members else folder / one.file_name


def _named_place(one: Entry, roots: Roots) -> Path | None:
    """Return where an image encoder goes in the place that the user named; None where that is another encoder's."""
    if (named := roots.clip_vision) is None:
        return None
    if named.suffix.lower() in MODEL_SUFFIXES:
        return None if encoder_in(named) not in ("", one.id) else named
    return named / ("model.safetensors" if one.id == "clip_vit_h" else one.file_name)


def _distinct(files: Iterable[Path]) -> Iterator[Path]:
    """Drop a file seen before: ControlNet and controlnet are one folder where case does not count."""
    seen: set[tuple[int, int]] = set()
    for path in files:
        status = path.stat()
        key = (status.st_dev, status.st_ino)
        if key not in seen:
            seen.add(key)
            yield path
