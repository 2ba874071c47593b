"""A run: one job that drew pictures, with everything that is needed to draw them again; no pixels, no photo.

Everything in it is plain values, so that it goes through JSON and back unchanged. A score is the plain form of
`likeness.score.PictureScore`: the journal keeps it and reads one number of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, cast

from lib_faceid.errors import UnitError
from lib_faceid.units.parameters import join_parameters

__all__ = ["HASH_DIGITS", "UNSAVED", "Drawn", "Run", "UsedUnit", "number_of", "task_id"]

TASK_ID = re.compile(r"\s*(?:[Ff]-)?0*([0-9]{1,18})\s*")
MAX_NOTE = 10_000
MAX_TAGS = 50
MAX_TAG = 60
UNSAVED = "photo "
"""Stands before the hash by which somebody is called whom nobody saved."""
HASH_DIGITS = 8

Values = Mapping[str, Any]


def task_id(number: int) -> str:
    """Return how a run is called: F-000123."""
    return f"F-{number:06d}"


def number_of(text: str) -> int:
    """Return the number of a run by what it is called; "123" and "f-123" will do. Raises UnitError."""
    found = TASK_ID.fullmatch(text) if len(text) < 40 else None
    if found is None or not int(found[1]):
        raise UnitError(f"{text[:40]!r} is no run. Runs are called as F-000123 is; the list names them.")
    return int(found[1])


@dataclass(frozen=True)
class UsedUnit:
    """A unit that took part, without its photos."""

    number: int | str
    settings: Values
    """What differs from the unit's defaults, by field; adapter and variant are those that "Auto" became."""
    adapter_sha256: str = ""
    references: tuple[str, ...] = ()
    """SHA-256 of the photos' pixels, whole or their beginning, or the fingerprint of a saved reference."""
    people: tuple[str, ...] = ()
    """Names of the saved people who were drawn; empty for photos that nobody saved."""

    @property
    def who(self) -> tuple[str, ...]:
        """Who was drawn: the saved people, else whom the first photo shows, named by its hash; nobody by an image."""
        is_unsaved = not self.people and self.references and self.settings.get("purpose", "person") == "person"
        return (f"{UNSAVED}{self.references[0][:HASH_DIGITS]}",) if is_unsaved else self.people

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "number": self.number,
            "settings": dict(self.settings),
            "adapter_sha256": self.adapter_sha256,
            "references": list(self.references),
            "people": list(self.people),
        }

    @classmethod
    def from_dict(cls, values: Values) -> UsedUnit:
        """Return it from plain values; what is not there has its default."""
        references, people = (tuple(map(str, values.get(name) or ())) for name in ("references", "people"))
        sha256 = str(values.get("adapter_sha256") or "")
        return cls(values["number"], dict(values.get("settings") or {}), sha256, references, people)


@dataclass(frozen=True)
class Drawn:
    """One picture of a run."""

    seed: int
    score: Values | None = None
    """As `PictureScore.as_dict` gives it; None where nobody looked."""
    path: str = ""
    """Where its file lies; empty where none was saved."""
    sha256: str = ""
    """Of its file's bytes."""
    pixels_sha256: str = ""
    """Of its pixels: the same picture in another file has the same one."""
    prompt: str | None = None
    """Its own prompt, where it had another one than the run's."""

    @property
    def likeness(self) -> float | None:
        """That of its person, or of the least alike of its people; None where that is not known."""
        found = (self.score or {}).get("likeness")
        return float(found) if isinstance(found, (int, float)) and not isinstance(found, bool) else None

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values; what is empty is left out."""
        texts = {name: text for name in ("path", "sha256", "pixels_sha256") if (text := getattr(self, name))}
        optional = {"score": self.score, "prompt": self.prompt}
        return {"seed": self.seed, **texts} | {name: one for name, one in optional.items() if one is not None}

    @classmethod
    def from_dict(cls, values: Values) -> Drawn:
        """Return it from plain values."""
        texts = {name: str(values.get(name) or "") for name in ("path", "sha256", "pixels_sha256")}
        return cls(seed=int(values["seed"]), score=values.get("score"), prompt=values.get("prompt"), **texts)


@dataclass(frozen=True)
class Run:
    """One job. `number` and `time` are given by the file when it is written down."""

    prompt: str = ""
    negative: str = ""
    settings: Values = field(default_factory=dict[str, Any])
    """Those of the job by their names in a picture's metadata, in that order: texts."""
    units: tuple[UsedUnit, ...] = ()
    pictures: tuple[Drawn, ...] = ()
    checkpoint: str = ""
    checkpoint_sha256: str = ""
    versions: Values = field(default_factory=dict[str, Any])
    """What else decides about pixels: host, torch, device, threads, the algorithm's number."""
    diagnosis: Any = None
    """What was found to be wrong, as plain values."""
    tried: str = ""
    """What was changed against the parent."""
    note: str = ""
    tags: tuple[str, ...] = ()
    parent: int | None = None
    number: int = 0
    time: float = 0.0
    """Seconds since 1970, UTC."""
    nets: Values = field(default_factory=dict[str, Any])
    """SHA-256 of the files of ControlNets and T2I-Adapters, by what used one: `FaceID 0`, `FaceID control 0`."""

    @property
    def id(self) -> str:
        """How it is called."""
        return task_id(self.number)

    @property
    def people(self) -> tuple[str, ...]:
        """Who was drawn, each once: saved people by their names, others by a photo's hash (`UsedUnit.who`)."""
        return tuple(dict.fromkeys(name for unit in self.units for name in unit.who))

    @property
    def likeness(self) -> float | None:
        """The mean over the pictures that have one; None where none has."""
        found = [one for picture in self.pictures if (one := picture.likeness) is not None]
        return fmean(found) if found else None

    @property
    def best(self) -> float | None:
        """The likeness of its best picture."""
        return max((one for picture in self.pictures if (one := picture.likeness) is not None), default=None)

    def likeness_of(self, name: str) -> float | None:
        """Return the mean likeness of one of its people, by the scores of the units that drew that person."""
        numbers = {str(unit.number) for unit in self.units if name in unit.who}
        found = [one for picture in self.pictures for one in _of_units(picture.score, numbers)]
        return fmean(found) if found else (self.likeness if self.people == (name,) else None)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        plain = {name: getattr(self, name) for name in PLAIN}
        return plain | {
            "id": self.id,
            "parent": task_id(self.parent) if self.parent else None,
            "settings": dict(self.settings),
            "versions": dict(self.versions),
            **({"nets": dict(self.nets)} if self.nets else {}),
            "tags": list(self.tags),
            "people": list(self.people),
            "likeness": self.likeness,
            "units": [unit.as_dict() for unit in self.units],
            "pictures": [picture.as_dict() for picture in self.pictures],
        }

    @classmethod
    def from_dict(cls, values: Values) -> Run:
        """Return a run from plain values. Raises UnitError for what is none."""
        try:
            return cls(
                **{name: values[name] for name in PLAIN if name in values},
                settings=dict(values.get("settings") or {}),
                versions=dict(values.get("versions") or {}),
                nets=dict(values.get("nets") or {}),
                tags=tuple(values.get("tags") or ()),
                units=tuple(map(UsedUnit.from_dict, values.get("units") or ())),
                pictures=tuple(map(Drawn.from_dict, values.get("pictures") or ())),
                parent=number_of(values["parent"]) if values.get("parent") else None,
                number=number_of(values["id"]) if values.get("id", task_id(0)) != task_id(0) else 0,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UnitError(f"That is no run of the journal ({error}). Write it as `journal export` does.") from error

    def infotext(self, picture: int = 0) -> str:
        """Return the settings of one of its pictures as the WebUI writes and reads them."""
        drawn = self.pictures[picture] if picture < len(self.pictures) else None
        settings = dict(self.settings)
        if drawn is not None and "Seed" in settings:
            settings["Seed"] = str(drawn.seed)
        prompt = self.prompt if drawn is None or drawn.prompt is None else drawn.prompt
        return join_parameters(prompt, self.negative, settings)


PLAIN = (
    "prompt", "negative", "checkpoint", "checkpoint_sha256", "diagnosis", "tried", "note", "time",
)  # fmt: skip


def _of_units(score: Values | None, numbers: set[str]) -> list[float]:
    """Return the likenesses of some units in the plain form of a picture's score."""
    units = cast("Sequence[Values]", (score or {}).get("units") or ())
    found = [unit.get("likeness") for unit in units if str(unit.get("unit")) in numbers]
    return [float(one) for one in found if isinstance(one, (int, float))]
