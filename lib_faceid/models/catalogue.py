"""Every model that can be had: from which official address, how large, which hash, under which licence, for what.

The facts are data: those of encoders and face models in `catalogue.json`, those of adapters in the `files.json` of
each method. Nothing here touches the network.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from lib_faceid.errors import FileError, MissingModelError

__all__ = ["Entry", "Kind", "Licence", "Member", "adapter_entries", "catalogue", "entry"]

Kind = Literal["adapter", "clip_vision", "face_models", "controlnet"]


@dataclass(frozen=True)
class Licence:
    """What the owner of a model allows."""

    id: str
    name: str
    sentence: str
    url: str


@dataclass(frozen=True)
class Member:
    """A file inside a zip archive. Nothing but the members is unpacked."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Entry:
    """One model, as its owners publish it."""

    id: str
    """What a user calls it by; so is the file's name, with or without its ending."""
    kind: Kind
    label: str
    purpose: str
    family: int | None
    """Cross attention dimension of the checkpoints it is for (768 or 2048); None for every one."""
    variant: str | None
    """The id of an adapter's variant, or of the variant that a ControlNet belongs to."""
    url: str
    size_bytes: int | None
    """None where no published size is known; `about_mb` always is."""
    about_mb: int
    sha256: str | None
    """None where no published hash is known: then the server's own counts."""
    licence: Licence
    folder: str
    """Where it goes, below a WebUI's `models`."""
    file_name: str
    """What arrives; members of an archive go by their own names."""
    members: tuple[Member, ...] = ()

    @property
    def size(self) -> str:
        """The size of the download in words."""
        return f"{self.about_mb} MB" if self.size_bytes is not None else f"about {self.about_mb} MB"

    @property
    def description(self) -> str:
        """What a user should know before saying yes."""
        return (
            f"{self.label}: {self.size} from {self.url}\n"
            f"SHA-256 {self.sha256 or 'as the server says, none is published'}\n"
            f"Licence: {self.licence.name}. {self.licence.sentence} {self.licence.url}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as JSON values."""
        return asdict(self)


def catalogue() -> tuple[Entry, ...]:
    """Return every entry; adapters first, by family, then by method, then the best for "Auto" first."""
    return _catalogue(Path(__file__).parent.parent)


def adapter_entries(family: int | None = None) -> tuple[Entry, ...]:
    """Return the adapters for checkpoints of that cross attention dimension; without one, all adapters."""
    return tuple(one for one in catalogue() if one.kind == "adapter" and family in (None, one.family))


def entry(name: str) -> Entry:
    """Return the entry of that id or file name, in any case. Raises MissingModelError, with the nearest names."""
    known = {key.lower(): one for one in catalogue() for key in (one.file_name, Path(one.file_name).stem, one.id)}
    if found := known.get(name.strip().lower()):
        return found
    ids = [one.id for one in catalogue()]
    near = get_close_matches(name.lower(), known, n=1)
    hint = f" Did you mean {known[near[0]].id}?" if near else ""
    raise MissingModelError(f"There is no model '{name}' in the catalogue.{hint} It has: {', '.join(ids)}.")


@lru_cache(maxsize=1)
def _catalogue(package: Path) -> tuple[Entry, ...]:
    of_methods = [one for path in sorted(package.glob("methods/*/files.json")) for one in _read(path)]
    of_methods.sort(key=lambda one: (one.kind != "adapter", one.family or 0))
    return (*of_methods, *_read(package / "models" / "catalogue.json"))


def _read(path: Path) -> tuple[Entry, ...]:
    try:
        content = json.loads(path.read_text("utf-8"))
        licences = {each["id"]: Licence(**each) for each in content["licences"]}
        return tuple(_entry(each, licences) for each in content["entries"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FileError(
            f"{path.name}, the list of models that can be had, is damaged ({type(error).__name__}: {error!s:.80}). "
            f"Install the extension again."
        ) from error


def _entry(values: dict[str, Any], licences: dict[str, Licence]) -> Entry:
    facts: dict[str, Any] = {**values, "licence": licences[values["licence"]]}
    facts["members"] = tuple(Member(**each) for each in values.get("members", ()))
    return Entry(**facts)
