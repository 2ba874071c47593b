"""`python -m lib_faceid face save | list | show | ...`: the people library."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lib_faceid.commands.approving import add_approval_commands
from lib_faceid.commands.inputs import analyser_of, library_of, photos_in, with_progress
from lib_faceid.commands.outputs import require_file, require_folder
from lib_faceid.commands.values import number, text
from lib_faceid.encoders.features import ARCFACE, CLIP_H_HIDDEN
from lib_faceid.errors import FileError, MissingModelError, UnitError
from lib_faceid.units.tags import tag_for
from lib_faceid.units.unit import AUTO, FIELDS

if TYPE_CHECKING:
    from lib_faceid.people.library import People, Person

__all__ = ["JSON_HELP", "RECOGNISER_HELP", "add_people_commands"]

Options = argparse.Namespace
THUMBNAIL_PX = 96
JSON_HELP = "the same as data"
RECOGNISER_HELP = "which made the numbers in another program's file, such as w600k_r50, where it does not say"


def add_people_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the commands that deal with saved people."""
    help_text = "keep the person in one or more photos or in another program's file, or images as a prompt"
    save = add("save", _save, help_text, "NAME", "PHOTO...")
    save.add_argument("--recogniser", type=text, default="", help=RECOGNISER_HELP)
    save.add_argument("--weight", type=number(0, 10), action="append", default=[], help="of each photo (by quality)")
    save.add_argument("--purpose", choices=_choices("purpose"), default="person", help="what is saved (person)")
    save.add_argument("--combine", choices=_choices("combine"), default="average")
    save.add_argument("--image-crop", choices=_choices("image_crop"), default=AUTO, help="of an image (square)")
    save.add_argument("--face", default="largest", help="a number, or 'box 0.3 0.1 0.6 0.5' (%(default)s)")
    save.add_argument("--notes", type=text, default="")
    save.add_argument("--thumbnail", action="store_true", help="keep a small picture of the face in the file")
    save.add_argument("--overwrite", action="store_true")
    add("list", _list, "who is saved").add_argument("--json", action="store_true", help=JSON_HELP)
    show = add("show", _show, "what is known of a saved person", "NAME")
    show.add_argument("--json", action="store_true", help=JSON_HELP)
    add("rename", _rename, "give a saved person another name", "NAME", "NEW")
    add("delete", _delete, "remove a saved person", "NAME")
    add_approval_commands(add)
    add("export", _export, "write a saved person to a file", "NAME", "FILE")
    add("forget-all", _forget_all, "remove every saved person").add_argument("--yes", action="store_true")


def _choices(field: str) -> tuple[str, ...]:
    kind = FIELDS[field].kind
    return kind if isinstance(kind, tuple) else ()


def _save(options: Options) -> None:
    """Save a person made of photos, or the one in another program's file."""
    from lib_faceid.references.vectors import is_person_file

    if len(options.PHOTO) == 1 and Path(options.PHOTO[0]).is_file() and is_person_file(Path(options.PHOTO[0])):
        _save_file(Path(options.PHOTO[0]), options)
    elif options.purpose == "image":
        _save_image(options)
    else:
        _save_photos(options)


def _save_file(path: Path, options: Options) -> None:
    from lib_faceid.faces.recognisers import unknown_note, untrained_note
    from lib_faceid.references.identity import Identity
    from lib_faceid.references.record import read_record

    library = library_of(options)
    _require_free(library, options)
    identity = Identity.load(path, options.recogniser)
    record = read_record(path)
    record = replace(record, notes=options.notes or record.notes)
    name = library.save(options.NAME, identity, record, overwrite=options.overwrite)
    note = untrained_note(identity.recogniser) if identity.recogniser else unknown_note()
    print(f"{note}\n" if note else "", end="")
    print(f"Saved as '{name}'. It is personal data: keep it as private as a photo.")


def _save_photos(options: Options) -> None:
    from lib_faceid.encoders.clip_vision import load_clip_vision
    from lib_faceid.encoders.features import CLIP_H_HIDDEN
    from lib_faceid.methods.registry import readers
    from lib_faceid.models.image_encoders import image_encoder
    from lib_faceid.references.joining import Look, join_photos
    from lib_faceid.units.region import which_face

    look, library, photos = Look(which_face(options.face)), library_of(options), photos_in(options.PHOTO)
    _require_free(library, options)
    encoder = image_encoder(CLIP_H_HIDDEN.encoder)
    try:
        clip = load_clip_vision(encoder=encoder.id)
    except MissingModelError:
        clip = None
        print(f"{encoder.label} is not here, so {readers(encoder.id, 'person')} cannot draw this person.")
    joined = join_photos(
        list(with_progress(photos)),
        analyser=analyser_of(options),
        clip=clip,
        combine=options.combine,
        weights=options.weight,
        look=look,
    )
    record = replace(joined.record, notes=options.notes)
    if options.thumbnail:
        first = next(use.number for use in joined.photos if use.is_used)
        record = replace(record, thumbnail_rgb=_thumbnail(photos[first - 1], options))
    name = library.save(options.NAME, joined.identity, record, overwrite=options.overwrite)
    for message in joined.messages:
        print(message)
    if name != options.NAME:
        print(f"{options.NAME!r} cannot be a file's name everywhere, or is there in other letters.")
    print(f"Saved as '{name}'. It is personal data: keep it as private as a photo.")


def _save_image(options: Options) -> None:
    from lib_faceid.encoders.clip_vision import load_clip_vision
    from lib_faceid.jobs.choosing import Models
    from lib_faceid.jobs.saving import image_to_save
    from lib_faceid.models.folders import require_clip_vision, usual_roots
    from lib_faceid.units.unit import Photo, Unit

    library, photos = library_of(options), photos_in(options.PHOTO)
    weights = options.weight or [1.0] * len(photos)
    if len(weights) != len(photos):
        raise UnitError(
            f"--weight was given {len(weights)} times for {len(photos)} images. Give one for each, or none."
        )
    _require_free(library, options)
    models = Models(
        adapter_files=tuple,
        face_analyser=lambda: analyser_of(options),
        clip_vision=lambda encoder: load_clip_vision(require_clip_vision(usual_roots(), encoder), encoder=encoder),
        person=lambda name: library.load(name).identity,
    )
    images = tuple(Photo(photo, weight) for photo, weight in zip(photos, weights, strict=True))
    unit = Unit(images=images, purpose="image", combine=options.combine, image_crop=options.image_crop)
    joined = image_to_save(unit, models)
    record = replace(joined.record, notes=options.notes)
    name = library.save(options.NAME, joined.identity, record, overwrite=options.overwrite)
    for message in joined.messages:
        print(message)
    print(f"Saved as '{name}', an image. A prompt calls it with {tag_for(name, purpose='image')}.")


def _require_free(library: People, options: Options) -> None:
    """Raise before the photos are looked at what would keep the person from being saved."""
    from lib_faceid.people.names import safe_name

    name = safe_name(options.NAME)
    present = next((one for one in library.names() if one.casefold() == name.casefold()), "")
    if present and not options.overwrite:
        raise FileError(f"There is a saved person '{present}' already. Choose another name, or say --overwrite.")
    require_folder(library.folder)


def _thumbnail(path: Path, options: Options) -> NDArray[np.uint8]:
    from lib_faceid.faces.crops import clip_crop
    from lib_faceid.pictures.photo import read_photo
    from lib_faceid.references.face_choice import Skipped, look_at, nothing_left
    from lib_faceid.units.region import which_face

    chosen = look_at(path, "the photo", analyser_of(options), which_face(options.face))
    if isinstance(chosen, Skipped):
        raise nothing_left([chosen])
    return clip_crop(read_photo(path), chosen.face.points, "head")[:: 224 // THUMBNAIL_PX, :: 224 // THUMBNAIL_PX]


def _list(options: Options) -> None:
    library = library_of(options)
    people: list[Person | tuple[str, FileError]] = []
    for name in library.names():
        try:
            people.append(library.load(name))
        except FileError as error:  # noqa: PERF203 - a handful of files
            people.append((name, error))
    if options.json:
        print(json.dumps([_entry(one) for one in people], indent=2))
        return
    for one in people:
        print(f"{one[0]}: {one[1]}" if isinstance(one, tuple) else _line(one))
    if not people:
        print(f"Nobody is saved in {library.folder}.")


def _entry(one: Person | tuple[str, FileError]) -> dict[str, object]:
    """Return what `_line` says, as data."""
    if isinstance(one, tuple):
        return {"name": one[0], "error": str(one[1])}
    features = one.identity.features
    return {
        "name": one.name,
        "purpose": "person" if ARCFACE in features else "image",
        "pictures": one.identity.num_pictures,
        "photos": len(one.record.photos),
        "recogniser": one.identity.recogniser,
        "has_clip_features": CLIP_H_HIDDEN in features,
        "notes": one.record.notes,
    }


def _line(person: Person) -> str:
    reference, photos = person.identity, len(person.record.photos)
    is_face = ARCFACE in reference.features
    clip = "with CLIP features" if CLIP_H_HIDDEN in reference.features else "without CLIP features"
    number, what = reference.num_pictures, "face" if is_face else "image"
    pictures = f"{number} {what}{'s' if number > 1 else ''}"
    made_of = f"{photos or '?'} photo{'s' if photos != 1 else ''}"
    read_by = f", {reference.recogniser or 'unknown recogniser'}, {clip}" if is_face else ""
    return f"{person.name}: {pictures} from {made_of}{read_by}"


def _show(options: Options) -> None:
    person = library_of(options).load(options.NAME)
    photos = [
        {"sha256": p.sha256, "weight": round(p.weight, 3), "report": p.report.to_dict() if p.report else None}
        for p in person.record.photos
    ]
    if options.json:
        recogniser = person.identity.recogniser
        fields = {"name": person.name, "faces": person.identity.num_pictures, "recogniser": recogniser}
        print(json.dumps({**fields, "notes": person.record.notes, "photos": photos}, indent=2))
        return
    print(_line(person))
    for photo in person.record.photos:
        words = photo.report.words if photo.report else ""
        print(f"  photo {photo.sha256[:8]}, weight {photo.weight:.2f}: {words}")
    if person.record.notes:
        print(f"  {person.record.notes}")


def _rename(options: Options) -> None:
    print(f"'{options.NAME}' is now '{library_of(options).rename(options.NAME, options.NEW)}'.")


def _delete(options: Options) -> None:
    library_of(options).delete(options.NAME)
    print(f"'{options.NAME}' is deleted.")


def _export(options: Options) -> None:
    content, target = library_of(options).export(options.NAME), Path(options.FILE)
    require_file(target)
    if target.exists():
        raise FileError(f"{target} exists already. Choose another file.")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    print(f"{target}: keep it as private as a photo.")


def _forget_all(options: Options) -> None:
    library = library_of(options)
    names = library.names()
    if names and not options.yes:
        raise FileError(f"This deletes {len(names)} people from {library.folder} for good. Say --yes to do it.")
    print(f"{library.forget_all()} people are deleted.")
