"""The key of a picture: a hash of all that decides about it, so that the same question is never drawn twice.

People, photos, adapters, checkpoints, face models and image encoders count by their files' bytes; what is not on this
machine counts by its name. An adapter left at Auto counts by all adapters that there are, among which Auto chooses.
A WebUI samples in its own way, and has keys of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from lib_faceid.app.recording import HOST
from lib_faceid.app.resources import Resources
from lib_faceid.batch.controls import with_picture
from lib_faceid.batch.picture import Picture
from lib_faceid.batch.unit_pictures import with_pictures
from lib_faceid.errors import FaceIDError
from lib_faceid.faces.packs import find_face_pack
from lib_faceid.jobs.choosing import file_of
from lib_faceid.methods.loading import identify_adapter
from lib_faceid.methods.nets import find_net
from lib_faceid.models.folders import find_adapters, find_clip_vision
from lib_faceid.models.hashes import Hashes
from lib_faceid.models.image_encoders import IMAGE_ENCODERS
from lib_faceid.models.listing import files_below
from lib_faceid.models.person_suffixes import is_person_file
from lib_faceid.units.infotext import ALGORITHM
from lib_faceid.units.tags import find_tags, units_of
from lib_faceid.units.unit import AUTO

__all__ = ["Keys"]

VERSION = 1
SPACES = (",", ":")


class Keys:
    """Makes keys on one machine. host: what draws; its own models count where that is this program."""

    def __init__(self, resources: Resources, hashes: Hashes, host: str = HOST) -> None:
        self._resources, self._hashes = resources, hashes
        self._files = find_adapters(resources.roots)
        self._casts: dict[str, str] = {}
        self._names = cache(resources.people().names)
        self._checkpoint = cache(self._of_checkpoint)
        self._adapter = cache(self._of_adapter)
        self._person = cache(self._of_person)
        self._same: list[Any] = [VERSION, ALGORITHM, host, resources.full_precision, resources.marks]
        self._is_here = host == HOST
        self._encoders: list[str] | None = None if self._is_here else []
        self._pack = find_face_pack(resources.roots) if self._is_here else None
        if self._pack:
            self._same += [hashes.of(self._pack.detector), hashes.of(self._pack.recogniser)]

    def key(self, picture: Picture) -> str:
        """Return it: 40 hexadecimal digits."""
        text = picture.cast.text
        cast = self._casts.get(text)
        if cast is None:
            cast = self._casts[text] = _digest([self._unit(one) for one in picture.cast.units])
        tags = self._tags(picture.prompt) if "<" in picture.prompt else ""
        return _digest(
            [
                self._same, cast, tags, picture.prompt, picture.negative, picture.seed, picture.size, picture.steps,
                picture.cfg, self._checkpoint(picture.checkpoint), picture.options,
                *(self._control(one) for one in picture.controls),
            ]
        )  # fmt: skip

    def _control(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        net = settings["net"]
        try:
            file = self._resources.control_file(Path(net) if Path(net).is_absolute() else net)
            found = with_picture(settings, self._file)
            return {**found, "net": [file.name, self._hashes.of(file)]}
        except (FaceIDError, OSError):
            return dict(settings)  # which drawing says

    def _unit(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        found = with_pictures(settings, self._file)
        if "images" in found:
            found["encoders"] = self._of_encoders()
        if found.get("person"):
            found["person"] = self._person(found["person"])
        return {**found, "adapter": self._adapter(found.get("adapter", AUTO))}

    def _of_encoders(self) -> list[str]:
        """Return the hashes of the image encoders, which look at photos: large files, read for photos only."""
        if self._encoders is None:
            files = (find_clip_vision(self._resources.roots, one) for one in sorted(IMAGE_ENCODERS))
            self._encoders = [self._hashes.of(path) for path in files if path is not None]
        return self._encoders

    def _tags(self, prompt: str) -> str:
        try:
            units = units_of(find_tags(prompt)[1], self._names)
        except FaceIDError:
            return ""  # of a library elsewhere
        return _digest([[self._person(one.person), self._adapter(one.adapter)] for one in units])

    def _of_person(self, name: str) -> list[str]:
        if is_person_file(name) and Path(name).is_file():
            return [Path(name).stem, self._file(name)]
        try:
            return [name, self._hashes.of(self._resources.people().path(name))]
        except (FaceIDError, OSError):
            return [name]

    def _of_adapter(self, name: str) -> Any:
        try:
            if name == AUTO:
                return sorted([path.name, self._hashes.of(path)] for path in self._files)
            path = Path(name) if Path(name).is_file() else file_of(name, self._files)
            return [path.name, self._hashes.of(path), *self._companions(path)]
        except (FaceIDError, OSError):
            return name

    def _companions(self, path: Path) -> list[str]:
        """Return the hashes of what an adapter draws with beside itself: its ControlNet, the pack of its recogniser."""
        if not self._is_here:
            return []
        try:
            adapter = identify_adapter(path)
        except FaceIDError:
            return []  # which drawing says
        pack = find_face_pack(self._resources.roots, adapter.recogniser) if adapter.variant.reads_face else None
        net = find_net(adapter.variant.net, self._files, adapter.widths)[0] if adapter.variant.net else None
        files = [pack.detector, pack.recogniser] if pack and pack != self._pack else []
        return [self._hashes.of(file) for file in (*files, net) if file]

    def _of_checkpoint(self, name: str) -> Any:
        path = Path(name) if Path(name).exists() else self._resources.checkpoints().get(name)
        if path and path.is_dir():  # of FLUX.1, as diffusers saves it
            files = [one for one in sorted(files_below(path)) if one.suffix.lower() == ".safetensors"]
            return [path.name, *(self._hashes.of(one) for one in files)]
        return [path.stem, self._hashes.of(path)] if path else name

    def _file(self, path: str) -> str:
        return self._hashes.of(Path(path))


def _digest(values: Any) -> str:
    text = json.dumps(values, sort_keys=True, separators=SPACES)
    return hashlib.sha256(text.encode()).hexdigest()[:40]
