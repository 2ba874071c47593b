"""`python -m lib_faceid batch run`: what a manifest asks for, drawn; started again, it goes on."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lib_faceid.commands import values
from lib_faceid.commands.batch import add_manifest, defaults_of, refuse
from lib_faceid.commands.outputs import require_folder
from lib_faceid.commands.picture_options import resources_of
from lib_faceid.errors import UnitError

if TYPE_CHECKING:
    from lib_faceid.app.resources import Resources
    from lib_faceid.batch.address import Address
    from lib_faceid.batch.building import Wanted
    from lib_faceid.batch.engine import Drawn, Engine
    from lib_faceid.batch.index import Task
    from lib_faceid.batch.known import Known
    from lib_faceid.batch.picture import Picture
    from lib_faceid.batch.running import Outcome
    from lib_faceid.batch.store import Store
    from lib_faceid.batch.work import Rules

__all__ = ["add_output", "add_report", "add_run", "command_of"]

Options = argparse.Namespace
ENGINES = ("local", "webui", "ray")
MOST_WORKERS = 4096
HOUR = 3600.0


def add_run(parser: argparse.ArgumentParser) -> None:
    """Give a parser the options of `batch run`."""
    parser.set_defaults(run=_run)
    add_manifest(parser)
    add_output(parser)
    parser.add_argument("--full-precision", action="store_true", help="float32, where float16 gives black pictures")
    parser.add_argument(
        "--no-mark", dest="marks", action="store_false", help="leave out of the files that a model made them (IPTC)"
    )
    engine = parser.add_argument_group("who draws")
    engine.add_argument("--engine", choices=ENGINES, default="local", help="(%(default)s)")
    engine.add_argument("--address", metavar="A", help="of a Ray cluster for --engine ray (Ray on this machine)")
    engine.add_argument(
        "--workers", type=values.whole(1, MOST_WORKERS), metavar="N", help="(one a GPU; CPU: half the cores)"
    )
    engine.add_argument("--threads", type=values.whole(1, 1024), metavar="N", help="of a worker on the CPU (1)")
    engine.add_argument(
        "--url", action="append", default=[], metavar="URL", help="of a WebUI for --engine webui; again for more"
    )
    engine.add_argument(
        "--timeout",
        type=values.number(1, 86_400),
        default=600.0,
        metavar="S",
        help="for a WebUI's picture (%(default)g)",
    )
    enough = parser.add_argument_group("when there is enough")
    enough.add_argument(
        "--until", nargs=2, metavar=("likeness", "VALUE"), help="no further seeds of a row once one is so alike"
    )
    enough.add_argument(
        "--max-per-row", type=values.whole(1, 1_000_000), metavar="N", help="seeds of each combination of a row at most"
    )
    enough.add_argument(
        "--max-hours", type=values.number(0.0001, 100_000), metavar="H", help="hand out nothing more then"
    )
    enough.add_argument("--limit", type=values.whole(1, 10**9), metavar="N", help="the first N missing ones only")
    enough.add_argument("--rows", metavar="LIST", help="these rows only: 3,7-9")
    enough.add_argument("--failed", action="store_true", help="only what could not be drawn last time")


def add_report(parser: argparse.ArgumentParser) -> None:
    """Give a parser the options of `batch report`."""
    parser.set_defaults(run=_report)
    add_manifest(parser)
    add_output(parser)
    parser.add_argument("--full-precision", action="store_true", help="as the pictures were drawn")
    parser.add_argument("--no-mark", dest="marks", action="store_false", help="as the pictures were drawn")
    parser.add_argument("--engine", choices=ENGINES, default="local", help="that drew them (%(default)s)")
    parser.add_argument("--url", action="append", default=[], metavar="URL", help="of a WebUI for --engine webui")


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add where the pictures are."""
    parser.add_argument("--out", type=Path, default=Path("out/batch"), metavar="DIR", help="(%(default)s)")


def _run(options: Options) -> None:
    from lib_faceid.batch.planning import plan_of
    from lib_faceid.batch.reading import Manifest
    from lib_faceid.batch.report import told_in
    from lib_faceid.batch.running import Run
    from lib_faceid.batch.store import Store

    require_folder(options.out)
    rules, store = _rules(options), Store(options.out)
    with store.held():
        resources = _resources(options)
        if rules.until is not None and options.engine != "webui":
            resources.face_analyser()  # without face models nothing would ever be alike
        known, key_of = _facts(options, resources, store)
        read = lambda: Manifest(options.manifest, known, defaults_of(options))  # noqa: E731
        plan = plan_of(read())
        refuse(plan.mistakes, plan.mistakes_count, options.manifest)
        print(plan.sentences(1.0)[0], flush=True)
        engine = _engine(options, resources, store)
        rules = replace(rules, attempts=engine.attempts)
        run = Run(read(), store, engine, key_of, rules, _wanted(options), command_of(options))
        run.tell = told_in(store, options.manifest.name)
        run.journal = _journal(options, resources)
        outcome = run.run()
    _say(outcome, options, resources, engine, known.checkpoint)


def _report(options: Options) -> None:
    """Tell of a folder anew, without drawing."""
    from lib_faceid.batch.building import Builder
    from lib_faceid.batch.failures import failed_keys
    from lib_faceid.batch.index import DONE, FAILED, Index
    from lib_faceid.batch.reading import Manifest
    from lib_faceid.batch.report import told_in
    from lib_faceid.batch.store import Store
    from lib_faceid.batch.work import Rules

    store = Store(options.out)
    with store.held():
        resources = _resources(options)
        known, key_of = _facts(options, resources, store)
        index = Index(options.out / ".work.sqlite")
        try:
            Builder(store, index, key_of, Rules()).build(Manifest(options.manifest, known, defaults_of(options)))
            for key in failed_keys(options.out):
                index.set_failed(key)
            counts = index.counts()
            failed = f" · {counts[FAILED]:,} failed" if FAILED in counts else ""
            line = f"{counts.get(DONE, 0):,}/{sum(counts.values()):,}{failed}"
            told_in(store, options.manifest.name)(index, line, False)
        finally:
            index.close()
    print(options.out / "report.html")


def _resources(options: Options) -> Resources:
    from lib_faceid.commands.ui import or_miniature

    found = resources_of(options)
    if options.engine == "webui":
        return found
    return replace(or_miniature(found, options.out, print), offers_downloads=False)


def _facts(options: Options, resources: Resources, store: Store) -> tuple[Known, Callable[[Picture], str]]:
    from lib_faceid.batch.here import known_here
    from lib_faceid.batch.keys import Keys
    from lib_faceid.batch.webui import DRAWN_BY
    from lib_faceid.batch.webui_known import known_there
    from lib_faceid.models.hashes import Hashes

    hashes = Hashes(store.folder / ".hashes.json")
    if options.engine == "webui":
        known = known_there(_addresses(options), str(options.checkpoint or ""))
        return known, Keys(resources, hashes, DRAWN_BY).key
    return known_here(resources), Keys(resources, hashes).key


def _addresses(options: Options) -> Sequence[Address]:
    from lib_faceid.batch.address import Address

    found = {one.name: one for one in map(Address.of, options.url)}
    if not found:
        raise UnitError("--engine webui needs --url, once for each WebUI: --url http://127.0.0.1:7860")
    return tuple(found.values())


def _engine(options: Options, resources: Resources, store: Store) -> Engine:
    if options.engine == "webui":
        from lib_faceid.batch.webui import WebUIEngine

        return WebUIEngine(_addresses(options), options.timeout)
    if options.engine == "ray":
        return _ray(options, resources, store)
    return _local(options, resources, store)


def _ray(options: Options, resources: Resources, store: Store) -> Engine:
    from lib_faceid.batch.ray_engine import RayEngine, start_ray
    from lib_faceid.models.own_settings import own_settings

    ray = start_ray(options.address)
    journal = own_settings(resources.roots).journal
    found = RayEngine(ray, resources, options.workers, writes_journal=journal)
    found.threads = None if found.gpus else _threads(options, store)
    return found


def _local(options: Options, resources: Resources, store: Store) -> Engine:
    from lib_faceid.batch.local import LocalEngine, devices
    from lib_faceid.models.own_settings import own_settings

    found = devices()
    threads = None if found else _threads(options, store)
    workers = options.workers or len(found) or max((os.cpu_count() or 2) // 2, 1)
    return LocalEngine(resources, workers, found, threads, writes_journal=own_settings(resources.roots).journal)


def _threads(options: Options, store: Store) -> int:
    """Return the threads of each worker on a CPU: for all runs into one folder the same."""
    threads = int(store.share("threads", options.threads or 1))
    if options.threads and options.threads != threads:
        raise UnitError(
            f"{options.out} was begun with --threads {threads}; another number gives other bytes. Leave it out."
        )
    return threads


def _journal(options: Options, resources: Resources) -> Callable[[Task, Drawn, Path], None] | None:
    """Return what writes the journal; WebUIs write their own."""
    from lib_faceid.batch.journalling import journal_of
    from lib_faceid.models.own_settings import own_settings

    if options.engine == "webui" or not own_settings(resources.roots).journal:
        return None
    return journal_of(resources.roots, f"batch {options.manifest.stem}", print)


def _rules(options: Options) -> Rules:
    from lib_faceid.batch.work import Rules

    until = None
    if options.until is not None:
        name, text = options.until
        try:
            until = values.number(0, 1)(text)
        except argparse.ArgumentTypeError as error:
            raise UnitError(f"--until: {error}.") from error
        if name != "likeness":
            raise UnitError(
                f"--until {name!r} is nothing that is measured; likeness was expected: --until likeness 0.6"
            )
    seconds = options.max_hours * HOUR if options.max_hours else None
    return Rules(until, options.max_per_row, seconds)


def _wanted(options: Options) -> Wanted:
    from lib_faceid.batch.building import Wanted
    from lib_faceid.batch.failures import failed_keys

    rows = None
    if options.rows:
        from lib_faceid.batch.columns import alternatives

        try:
            rows = set(alternatives("seeds", options.rows))
        except UnitError as error:
            raise UnitError(f"--rows {options.rows!r} are no rows; numbers such as 3,7-9 were expected.") from error
    return Wanted(rows, failed_keys(options.out) if options.failed else None, options.limit)


def command_of(options: Options) -> Sequence[str]:
    """Return the command line that starts the same again."""
    typed = list(sys.argv[1:])
    is_ours = "batch" in typed and str(options.manifest) in typed
    left_out = ("--rows", "--limit")
    found: list[str] = []
    skips = False
    for one in typed if is_ours else ["batch", "run", str(options.manifest), "--out", str(options.out)]:
        if skips or one in left_out or one == "--failed":
            skips = one in left_out and not skips
            continue
        found.append(one)
    return [*("python", "-m", "lib_faceid"), *found]


def _say(outcome: Outcome, options: Options, resources: Resources, engine: Engine, checkpoint: str) -> None:
    from lib_faceid.batch.failures import FAILURES
    from lib_faceid.batch.planning import duration
    from lib_faceid.batch.speed import keep_speed

    if outcome.drawn:
        keep_speed(resources.roots, engine.name, checkpoint, outcome.speed, len(engine.places()))
    again = f", {outcome.damaged:,} of them again, as their files were damaged" if outcome.damaged else ""
    print(f"{outcome.done:,} pictures are there; {outcome.drawn:,} drawn now in {duration(outcome.seconds)}{again}.")
    if outcome.skipped:
        print(f"{outcome.skipped:,} were not needed, or not wanted now.")
    if outcome.left:
        print(f"{outcome.left:,} are left. Start it again to go on.")
    if outcome.failed:
        print(f"{outcome.failed:,} could not be drawn: {options.out / FAILURES}")
    print(options.out / "report.html")
