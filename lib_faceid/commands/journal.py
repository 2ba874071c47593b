"""`python -m lib_faceid journal ...`: what was drawn, how, and how alike it was."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lib_faceid.commands.journal_diagnosis import add_diagnose_run, add_try
from lib_faceid.commands.outputs import require_file, require_folder
from lib_faceid.commands.values import number, text, whole
from lib_faceid.errors import UnitError
from lib_faceid.journal.shown import diagnosis_lines, score_text, when_text

if TYPE_CHECKING:
    from lib_faceid.journal.filters import Filter
    from lib_faceid.journal.journal import Journal
    from lib_faceid.models.folders import Roots

__all__ = ["add_journal_commands"]

Options = argparse.Namespace
MAX_LISTED = 500


def add_journal_commands(parser: argparse.ArgumentParser) -> None:
    """Give a parser the commands that deal with the journal."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[Options], None], help_text: str, *words: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=help_text)
        command.set_defaults(run=run)
        for word in words:
            command.add_argument(word, type=text)
        command.add_argument("--webui", type=Path, metavar="DIR", help="a WebUI's folder, whose journal is meant")
        return command

    def with_json(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
        command.add_argument("--json", action="store_true", help="the same as data")
        return command

    listed = with_json(_with_filters(add("list", _list, "the runs, the newest first")))
    listed.add_argument("--count", type=whole(1, MAX_LISTED), default=20, metavar="N", help="(%(default)s)")
    with_json(add("show", _show, "everything about one run", "RUN"))
    with_json(add("compare", _compare, "two runs: only what differs", "FIRST", "SECOND"))
    with_json(add("tree", _tree, "the runs that one was made from, and those made from it", "RUN"))
    with_json(add("curve", _curve, "a person's likeness over the runs", "NAME"))
    add("note", _note, "give a run a note; an empty one removes it", "RUN", "TEXT")
    add("tag", _tag, "give a run tags, between commas; an empty text removes them", "RUN", "TAGS")
    add_diagnose_run(with_json(add("diagnose", _show, "what went wrong in a run, kept with it", "RUN")), _roots)
    add_try(add("try", _show, "draw a run with the one thing changed that its diagnosis proposes", "RUN"), _roots)
    again = add("again", _again, "draw a run again, and say whether it is the same", "RUN")
    again.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="(%(default)s)")
    again.add_argument("--face-models", type=Path, metavar="DIR", help="a pack such as buffalo_l")
    again.add_argument(
        "--picture", type=Path, action="append", default=[], metavar="FILE",
        help="one that a ControlNet of the run followed, known by its pixels; may be given again",
    )  # fmt: skip
    export = _with_filters(add("export", _export, "write runs to a file that ends with .csv or .json", "FILE"))
    export.add_argument("--overwrite", action="store_true")
    with_json(add("forget", _forget, "take a person out for good, under the name and by the photos", "NAME"))
    on = add("on", _on, "begin to write runs down (personal data: see docs/JOURNAL.md)")
    on.add_argument("--thumbnails", action="store_true", help="keep small pictures, too")
    add("off", _off, "write no more runs down; those that are there stay")


def _with_filters(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument("--person", type=text, default="", metavar="NAME")
    command.add_argument("--tag", type=text, default="")
    command.add_argument("--text", type=text, default="", help="words of prompt, note, tags or names")
    command.add_argument("--lowest", type=number(-1, 1), metavar="N", help="of the likeness")
    command.add_argument("--highest", type=number(-1, 1), metavar="N")
    command.add_argument("--since", type=text, metavar="DATE", help="as 2026-11-26, or with a time: 2026-11-26T17:45")
    command.add_argument("--until", type=text, metavar="DATE")
    command.add_argument("--by-likeness", action="store_true", help="the most alike first")
    return command


def _filter(options: Options) -> Filter:
    from lib_faceid.journal.export import seconds_of
    from lib_faceid.journal.filters import Filter

    return Filter(
        options.person,
        options.tag,
        options.text,
        options.lowest,
        options.highest,
        seconds_of(options.since),
        seconds_of(options.until, is_end=True),
        "likeness" if options.by_likeness else "newest",
    )


def _roots(options: Options) -> Roots:
    from lib_faceid.models.folders import usual_roots

    return usual_roots(options.webui)


def _journal(options: Options) -> Journal:
    from lib_faceid.journal.journal import open_journal

    return open_journal(_roots(options))


def _list(options: Options) -> None:
    from dataclasses import asdict

    journal = _journal(options)
    page = journal.page(_filter(options), size=options.count)
    if options.json:
        _print_json([asdict(entry) for entry in page.entries])
        return
    rows = [("run", "when", "likeness", "people", "what was tried, or the prompt")]
    rows += [
        (one.id, when_text(one.time), score_text(one.likeness), " | ".join(one.people), one.tried or one.prompt)
        for one in page.entries
    ]
    print(_table(rows) if page.entries else "No runs. `python -m lib_faceid journal on` begins to write them down.")


def _show(options: Options) -> None:
    run = _journal(options).run(options.RUN)
    if options.json:
        _print_json(run.as_dict())
        return
    lines = [f"{run.id}, {when_text(run.time)}, likeness {score_text(run.likeness)}, best {score_text(run.best)}"]
    lines += [f"from {run.as_dict()['parent']}: {run.tried}"] if run.parent else []
    lines += [f"people: {', '.join(run.people)}"] if run.people else []
    lines += [f"tags: {', '.join(run.tags)}"] if run.tags else []
    lines += [f"note: {run.note}"] if run.note else []
    lines += [f"diagnosis: {line}" for line in diagnosis_lines(run.diagnosis)]
    lines += [f"  {score_text(one.likeness)}  seed {one.seed}  {one.path}" for one in run.pictures]
    print("\n".join([*lines, "", run.infotext()]))


def _compare(options: Options) -> None:
    from dataclasses import asdict

    from lib_faceid.journal.compare import compare

    journal = _journal(options)
    found = compare(journal.run(options.FIRST), journal.run(options.SECOND))
    if options.json:
        _print_json(asdict(found))
        return
    lines = [*(one.words for one in found.settings), *(one.words for one in found.scores)]
    print("\n".join(lines) or "Nothing that the journal knows of differs.")


def _tree(options: Options) -> None:
    from dataclasses import asdict

    steps = _journal(options).tree(options.RUN)
    if options.json:
        _print_json([asdict(step) for step in steps])
        return
    for step in steps:
        change = "" if step.change is None else f" ({step.change:+.3f})"
        print(f"{'  ' * step.depth}{step.id}  {score_text(step.likeness)}{change}  {step.tried}".rstrip())


def _curve(options: Options) -> None:
    from dataclasses import asdict

    points = _journal(options).curve(options.NAME)
    if options.json:
        _print_json([asdict(point) for point in points])
        return
    for point in points:
        bar = "#" * round(40 * max(point.likeness, 0))
        print(f"{point.id}  {when_text(point.time)}  {score_text(point.likeness)}  {bar}")
    if not points:
        print(f"There is no run with a likeness of {options.NAME!r}.")


def _note(options: Options) -> None:
    print(f"{_journal(options).edit(options.RUN, note=options.TEXT).id} has its note.")


def _tag(options: Options) -> None:
    run = _journal(options).edit(options.RUN, tags=options.TAGS.split(","))
    print(f"{run.id}: {', '.join(run.tags) or 'no tags'}")


def _again(options: Options) -> None:
    from dataclasses import replace

    from lib_faceid.app.again import draw_again
    from lib_faceid.app.picture_files import save_picture
    from lib_faceid.app.resources import Resources
    from lib_faceid.app.session import Session

    roots = _roots(options)
    roots = replace(roots, face_models=options.face_models) if options.face_models else roots
    journal = _journal(options)
    run = journal.run(options.RUN)
    require_folder(options.out)
    options.out.mkdir(parents=True, exist_ok=True)
    for at, (generated, message) in enumerate(draw_again(Session(Resources(roots)), run, journal, options.picture), 1):
        path = options.out / f"{run.id}-again-{at}.png"
        save_picture(generated, path)
        print(f"{path}: {message}")


def _export(options: Options) -> None:
    from lib_faceid.journal.export import as_csv, as_json

    target = Path(options.FILE)
    forms = {".csv": as_csv, ".json": as_json}
    if target.suffix.lower() not in forms:
        raise UnitError(f"{target.name} ends neither with .csv nor with .json. Name it so.")
    require_file(target)
    if target.exists() and not options.overwrite:
        raise UnitError(f"{target} exists already. Choose another file, or say --overwrite.")
    count = 0
    with target.open("w", encoding="utf-8", newline="") as file:
        for count, part in enumerate(forms[target.suffix.lower()](_journal(options).runs(_filter(options)))):  # noqa: B007
            file.write(part)
    print(f"{target}: {count} runs. It is personal data: keep it as private as a photo.")


def _forget(options: Options) -> None:
    from dataclasses import asdict

    from lib_faceid.people.library import open_library

    photos = open_library(_roots(options)).hashes_of(options.NAME)
    found = _journal(options).forget(options.NAME, photos)
    if options.json:
        _print_json(asdict(found))
    else:
        print(found.words)


def _on(options: Options) -> None:
    from lib_faceid.models.own_settings import change_settings

    change_settings(_roots(options), journal=True, thumbnails=options.thumbnails)
    print(
        f"The journal is on: {_journal(options).file}. It holds prompts, names and paths, and no photo: keep it as "
        "private as a photo. `journal forget NAME` takes somebody out."
    )


def _off(options: Options) -> None:
    from lib_faceid.models.own_settings import change_settings

    change_settings(_roots(options), journal=False)
    print("The journal is off. What is in it stays.")


def _print_json(value: object) -> None:
    json.dump(value, sys.stdout, indent=2)
    print()


def _table(rows: Sequence[Sequence[str]]) -> str:
    rows = [[" ".join(cell.split())[:80] for cell in row] for row in rows]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]) - 1)]
    return "\n".join("  ".join([*map(str.ljust, row[:-1], widths), row[-1]]).rstrip() for row in rows)
