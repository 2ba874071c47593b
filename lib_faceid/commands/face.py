"""`python -m lib_faceid face`: look at photos, and keep the people in them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_faceid.commands.completion import complete_with, people_or_files, saved_names
from lib_faceid.commands.inputs import analysed, analyser_of, library_of, photos_in, with_progress
from lib_faceid.commands.outputs import require_folder, require_picture, save_picture
from lib_faceid.commands.people import JSON_HELP, RECOGNISER_HELP, add_people_commands
from lib_faceid.commands.values import name_or_file, text
from lib_faceid.errors import FileError, PhotoError

if TYPE_CHECKING:
    from lib_faceid.people.contact_sheet import Tile
    from lib_faceid.references.analysis import AnalysedPhoto
    from lib_faceid.references.identity import Identity

__all__ = ["add_face_commands"]

Options = argparse.Namespace
TYPES = {
    "NAME": text,
    "NEW": text,
    "WHO": text,
    "A": name_or_file,
    "B": name_or_file,
}  # of arguments; the others are paths
COMPLETED = {"NAME": saved_names, "A": people_or_files, "B": people_or_files}
MAX_STEM_BYTES = 100  # what is put behind a photo's name must fit, too; encrypted folders have 143 bytes for all


def add_face_commands(parser: argparse.ArgumentParser) -> None:
    """Give a parser the options of the command `face`."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[Options], None], words: str, *names: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=words, description=words)
        command.set_defaults(run=run)
        for argument in names:
            several = argument.endswith("...")
            kind = TYPES.get(argument, str)
            action = command.add_argument(argument.removesuffix("..."), type=kind, nargs="+" if several else None)
            if argument in COMPLETED:
                complete_with(action, COMPLETED[argument])
        command.add_argument("--face-models", type=Path, metavar="DIR", help="a pack such as buffalo_l")
        command.add_argument("--faces", type=Path, metavar="DIR", help="the library (models/faceid/faces)")
        return command

    report = add("report", _report, "how good photos are, and why; folders are looked through", "PHOTO...")
    compare = add("compare", _compare, "the cosine of two people; each is a photo, a file or a name", "A", "B")
    find = add("find", _find, "which face of a group photo is a saved person", "NAME", "PHOTO")
    crop = add("crop", _crop, "write the crops that are really used", "PHOTO")
    crop.add_argument("--out", type=Path, default=Path("crops"), metavar="DIR", help="(%(default)s)")
    compare.add_argument("--recogniser", default="", help=RECOGNISER_HELP)
    for command in (report, compare, find):
        command.add_argument("--json", action="store_true", help=JSON_HELP)
    for command in (report, find):
        command.add_argument("--sheet", type=Path, metavar="PNG", help="a contact sheet with boxes and verdicts")
    add_people_commands(add)


def _report(options: Options) -> None:
    from lib_faceid.people.contact_sheet import make_contact_sheet, make_tile

    photos = photos_in(options.PHOTO)
    if options.sheet:
        require_picture(options.sheet, photos)
    analyser = analyser_of(options)
    entries: list[dict[str, Any]] = []
    tiles: list[Tile] = []
    for path in with_progress(photos):
        try:
            image_rgb, photo = analysed(path, analyser)
        except PhotoError as error:
            entries.append({"photo": str(path), "error": str(error), "faces": []})
            continue
        entries.append(_entry(path, photo))
        if options.sheet:
            tiles.append(make_tile(image_rgb, photo.faces, f"{path.name}: {_in_short(entries[-1])}"))
    print(json.dumps(entries, indent=2) if options.json else _table(entries))
    if options.sheet and tiles:
        save_picture(make_contact_sheet(tiles), options.sheet)
    if all("error" in entry for entry in entries):
        raise PhotoError(f"None of the {len(entries)} photos can be read. What each lacks stands above.")


def _entry(path: Path, photo: AnalysedPhoto) -> dict[str, Any]:
    faces = [
        {"number": number, "box": [round(edge) for edge in face.box], **face.report.to_dict()}
        for number, face in enumerate(photo.faces, 1)
    ]
    size = {"width_px": photo.size_px[0], "height_px": photo.size_px[1]}
    return {
        "photo": str(path),
        "sha256": photo.sha256,
        **size,
        "best_score": round(photo.best_score, 3),
        "faces": faces,
    }


def _table(entries: Sequence[dict[str, Any]]) -> str:
    rows: list[tuple[str, ...]] = [("photo", "face", "size", "verdict", "score", "yaw", "pitch", "roll", "what to do")]
    for entry in entries:
        name = Path(entry["photo"]).name
        if not entry["faces"]:
            rows.append((name, "-", "", "", "", "", "", "", _in_short(entry)))
        for face in entry["faces"]:
            m = face["measures"]
            angles = (f"{m[f'{axis}_degrees']:.0f}" for axis in ("yaw", "pitch", "roll"))
            row = (name, str(face["number"]), f"{m['size_px']} px", face["verdict"], f"{face['score']:.2f}")
            rows.append((*row, *angles, "; ".join(face["reasons"])))
    widths = [max(len(row[i]) for row in rows) for i in range(8)]
    return "\n".join("  ".join([*map(str.ljust, row[:8], widths), row[8]]).rstrip() for row in rows)


def _in_short(entry: dict[str, Any]) -> str:
    if "error" in entry:
        return str(entry["error"])
    if not entry["faces"]:
        return f"no face found (best score {entry['best_score']:.2f})"
    return ", ".join(f"{face['verdict']} {face['score']:.2f}" for face in entry["faces"][:3])


def _compare(options: Options) -> None:
    from lib_faceid.faces.recognisers import require_same_space
    from lib_faceid.references.combining import SAME_PERSON

    a, b = (_somebody(who, options) for who in (options.A, options.B))
    require_same_space(a.recogniser, b.recogniser)
    cosine = float(a.median().normed_embeddings[0] @ b.median().normed_embeddings[0])
    words = "alike" if cosine >= 0.5 else "perhaps the same person" if cosine >= SAME_PERSON else "different people"
    print(json.dumps({"cosine": round(cosine, 4), "words": words}) if options.json else f"{cosine:.3f} ({words})")


def _somebody(who: str, options: Options) -> Identity:
    """Return who a name of the library, a saved file or a photo stands for."""
    from lib_faceid.references.identity import Identity
    from lib_faceid.references.joining import identity_from_photos
    from lib_faceid.references.vectors import is_person_file

    library = library_of(options)
    if who in library.names():
        return library.identity(who)
    path = Path(who)
    if not path.exists():
        saved = ", ".join(library.names()[:20]) or "nobody"
        raise FileError(f"{who!r} is no saved person and no file. Saved: {saved}. Name one of them, or a photo.")
    if is_person_file(path):
        return Identity.load(path, options.recogniser)
    return identity_from_photos([path], analyser=analyser_of(options))


def _find(options: Options) -> None:
    from lib_faceid.faces.recognisers import require_same_space
    from lib_faceid.people.contact_sheet import make_contact_sheet, make_tile
    from lib_faceid.references.face_choice import choose_face

    path = Path(options.PHOTO)
    if options.sheet:
        require_picture(options.sheet, [path])
    person, analyser = library_of(options).identity(options.NAME), analyser_of(options)
    require_same_space(person.recogniser, analyser.recogniser, "The saved person and this photo")
    image_rgb, photo = analysed(path, analyser)
    index = choose_face(photo, person, "the photo", path.name)
    box, faces = [round(edge) for edge in photo.faces[index].box], len(photo.faces)
    if options.json:
        print(json.dumps({"name": options.NAME, "photo": str(path), "face": index + 1, "faces": faces, "box": box}))
    else:
        print(f"{options.NAME} is face {index + 1} of {faces} in {path.name}, at {', '.join(map(str, box))}.")
    if options.sheet:
        tile = make_tile(image_rgb, photo.faces, f"{path.name}: {options.NAME}", index)
        save_picture(make_contact_sheet([tile]), options.sheet)


def _crop(options: Options) -> None:
    from PIL import Image

    from lib_faceid.faces.crops import aligned, clip_crop

    path = Path(options.PHOTO)
    require_folder(options.out)
    image_rgb, photo = analysed(path, analyser_of(options))
    options.out.mkdir(parents=True, exist_ok=True)
    stem = path.stem.encode(errors="surrogateescape")[:MAX_STEM_BYTES].decode(errors="ignore")
    for number, face in enumerate(photo.require("the photo", path.name), 1):
        crops = {"recogniser-112": aligned(image_rgb, face.points, 112)}
        crops |= {f"clip-{sees}-224": clip_crop(image_rgb, face.points, sees) for sees in ("face", "head", "whole")}
        for kind, crop in crops.items():
            target = options.out / f"{stem}-{number}-{kind}.png"
            Image.fromarray(crop).save(target)
            print(target)
