"""`python -m lib_faceid diagnose`: what went wrong in a picture, with the evidence, and the one change to try."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_faceid.commands.values import text
from lib_faceid.errors import FileError

if TYPE_CHECKING:
    from lib_faceid.diagnosis.facts import Facts
    from lib_faceid.diagnosis.map import Diagnosis
    from lib_faceid.diagnosis.picture import Known

__all__ = ["add_diagnose", "words_of"]

Options = argparse.Namespace
MOST_BYTES = 64 * 1024 * 1024


def add_diagnose(parser: argparse.ArgumentParser) -> None:
    """Give a parser the options of the command `diagnose`."""
    parser.set_defaults(run=_diagnose)
    parser.add_argument("FILE", type=Path, nargs="+", help="a picture with its settings in it, or a report in JSON")
    parser.add_argument(
        "--person", type=text, action="append", default=[], metavar="NAME|FILE",
        help="who was asked for, of unit 0, 1, ...: a saved person, a saved file or a photo, to look at the likeness",
    )  # fmt: skip
    parser.add_argument(
        "--noticed", type=text, default="", metavar="ROW", help="what you see: the id of a row of the map"
    )
    parser.add_argument(
        "--plain",
        type=Path,
        metavar="FILE",
        help="what the same settings and seed give at weight 0, to compare",
    )
    parser.add_argument("--json", action="store_true", help="the same as data")
    parser.add_argument("--faces", type=Path, metavar="DIR", help="the people library (models/faceid/faces)")
    parser.add_argument("--face-models", type=Path, metavar="DIR", help="a pack such as buffalo_l")


def _diagnose(options: Options) -> None:
    from dataclasses import replace

    from lib_faceid.diagnosis.map import diagnose, row_ids

    if options.noticed and options.noticed not in row_ids():
        raise FileError(f"--noticed is {options.noticed!r}; one of {', '.join(row_ids())} was expected.")
    if options.plain and len(options.FILE) > 1:
        raise FileError(f"--plain is one picture, and {len(options.FILE)} are diagnosed. Name one at a time.")
    found: list[tuple[str, Diagnosis]] = []
    for path in options.FILE:
        for name, facts in _facts(path, options):
            found.append((name, diagnose(replace(facts, noticed=options.noticed))))
    if options.json:
        print(json.dumps([{"of": name, **one.as_dict()} for name, one in found], indent=2))
    else:
        print("\n\n".join(words_of(name, one) for name, one in found))


def _facts(path: Path, options: Options) -> list[tuple[str, Facts]]:
    if path.suffix.lower() == ".json":
        if options.plain:
            raise FileError(f"{path.name} is a report, and --plain goes with one picture. Name the picture itself.")
        from lib_faceid.diagnosis.reports import facts_of_report

        report = _with_parameters(_json(path), path.parent)
        return [(f"{path.name}: {name}" if name else path.name, facts) for name, facts in facts_of_report(report)]
    return [(path.name, _facts_of_picture(path, options))]


def _with_parameters(report: Any, folder: Path) -> Any:
    """Return a report whose pictures carry their settings, where their files lie beside it."""
    from PIL import Image

    pictures: Any = report.get("pictures") if isinstance(report, dict) else None
    for one in pictures if isinstance(pictures, list) else ():
        file = folder / Path(str(one["file"])).name if isinstance(one, dict) and one.get("file") else None
        if file is not None and "parameters" not in one and file.is_file():
            try:
                with Image.open(file) as image:
                    one["parameters"] = image.info.get("parameters", "")
            except (OSError, ValueError, Image.DecompressionBombError) as error:
                raise FileError(f"{file.name} is no picture that can be read ({str(error)[:80]}).") from error
    return report


def _facts_of_picture(path: Path, options: Options) -> Facts:
    from PIL import Image

    from lib_faceid.commands.inputs import analyser_of
    from lib_faceid.diagnosis.picture import facts_of_picture, parameters_in
    from lib_faceid.pictures.photo import read_photo

    picture_rgb = read_photo(path)
    with Image.open(path) as image:
        parameters = parameters_in(image, path.name)
    people: dict[int | str, Known] = {number: _known(who, options) for number, who in enumerate(options.person)}
    plain_rgb = read_photo(options.plain) if options.plain else None
    return facts_of_picture(parameters, picture_rgb, people, analyser_of(options) if people else None, plain_rgb)


def _known(who: str, options: Options) -> Known:
    """Return who a name of the library, a saved file or a photo stands for, and what is known of the photos."""
    from lib_faceid.commands.inputs import analyser_of, library_of
    from lib_faceid.diagnosis.picture import Known
    from lib_faceid.references.identity import Identity
    from lib_faceid.references.joining import join_photos
    from lib_faceid.references.record import read_record
    from lib_faceid.references.vectors import is_person_file

    library, path = library_of(options), Path(who)
    if who in library.names("person"):
        path = library.path(who)
    if not path.exists():
        raise FileError(f"--person is {who!r}, which is no saved person and no file. Name one, or a photo.")
    if is_person_file(path):
        return Known(Identity.load(path), read_record(path))
    joined = join_photos([path], analyser=analyser_of(options))
    return Known(joined.identity, joined.record)


def _json(path: Path) -> Any:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise FileError(f"{path.name} has {path.stat().st_size:,} bytes; a report has at most {MOST_BYTES:,}.")
        return json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path.name} is no JSON that can be read ({str(error)[:100]}).") from error


def words_of(name: str, diagnosis: Diagnosis) -> str:
    """Return a diagnosis in lines, for a terminal."""
    lines = [f"{name}: {'nothing wrong was found' if diagnosis.is_clean else 'what may be wrong, the likeliest first'}"]
    for number, one in enumerate(diagnosis.findings, 1):
        row = one.row
        lines += [
            f"{number}. {row.seen} ({row.id}, {one.strength:.2f}): {row.cause}",
            f"   found: {one.figures}",
            f"   try:   {one.change.words}",
            f"   rule:  {row.rule}",
            *(["   said before: of another run of this person it was not it"] if one.was_refused else []),
        ]
    return "\n".join([*lines, *diagnosis.unseen])
