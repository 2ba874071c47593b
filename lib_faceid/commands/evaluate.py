"""`python -m lib_faceid evaluate`: adapters side by side, with a user's own weights, people and prompts."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from lib_faceid.commands import values
from lib_faceid.commands.outputs import require_folder
from lib_faceid.commands.picture_options import resources_of
from lib_faceid.errors import MissingModelError
from lib_faceid.evaluation.protocols import PLAIN, PROTOCOLS, protocol

if TYPE_CHECKING:
    from lib_faceid.app.resources import Resources
    from lib_faceid.encoders.clip_towers import ClipTowers
    from lib_faceid.evaluation.plan import Lines, Plan
    from lib_faceid.evaluation.tables import Report
    from lib_faceid.faces.analyser import FaceAnalyser

__all__ = ["adapters_of", "add_evaluate"]

Options = argparse.Namespace
MOST_SEEDS = 1000
ALL = "all"


def add_evaluate(parser: argparse.ArgumentParser) -> None:
    """Give a parser the options of the command `evaluate`."""
    parser.set_defaults(run=_evaluate)
    parser.add_argument("--people", type=Path, required=True, metavar="DIR", help="a folder of photos for each person")
    parser.add_argument("--prompts", type=Path, metavar="FILE", help="one a line; {class} is what the person is")
    parser.add_argument("--seeds", type=values.whole(1, MOST_SEEDS), metavar="N", help="(the protocol's, else 4)")
    parser.add_argument("--first-seed", type=values.seed, default=0, metavar="N", help="(%(default)s)")
    parser.add_argument(
        "--adapters", nargs="+", default=[], metavar="NAME|FILE", help="all: each that can be used (Auto's)"
    )
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="SD 1.5, SDXL or FLUX.1 in one file, or a folder of FLUX.1"
    )
    parser.add_argument("--protocol", choices=list(PROTOCOLS), default=PLAIN, help="(%(default)s)")
    parser.add_argument("--steps", type=values.steps, help="(the protocol's)")
    parser.add_argument("--cfg", type=values.cfg, help="(the protocol's)")
    parser.add_argument("--size", type=values.size, metavar="WxH", help="(512x512, for SDXL 1024x1024)")
    parser.add_argument("--weight", type=values.number(0, 2), help="(the protocol's)")
    parser.add_argument("--lora", type=values.number(0, 1.5), help="(the protocol's)")
    parser.add_argument("--face-models", type=Path, metavar="DIR", help="the pack that conditions, such as buffalo_l")
    _add_judge(parser)
    parser.add_argument("--clip", type=Path, metavar="DIR", help="a CLIP with both towers (looked for in models/clip)")
    parser.add_argument("--yes", action="store_true", help="download the face models where there are none")
    parser.add_argument("--full-precision", action="store_true", help="float32, where float16 gives black pictures")
    parser.add_argument("--out", type=Path, default=Path("out/evaluation"), metavar="DIR", help="(%(default)s)")


def _add_judge(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--judge",
        type=Path,
        metavar="DIR|FILE",
        help="another pack, or a recogniser's ONNX file, that looks at pictures",
    )
    parser.add_argument("--judge-colours", choices=["rgb", "bgr"], default="rgb", help="of such a file (%(default)s)")
    number = values.number(0, 1000)
    parser.add_argument("--judge-mean", type=number, default=127.5, metavar="N", help="of pixels (%(default)s)")
    parser.add_argument("--judge-std", type=values.number(1e-3, 1000), default=127.5, metavar="N", help="(%(default)s)")
    parser.add_argument(
        "--judge-crop", choices=["aligned", "box"], default="aligned", help="straightened, or the detector's box"
    )
    parser.add_argument("--judge-size", type=values.whole(16, 1024), default=0, metavar="PX", help="(its file's)")


def _judge(options: Options, conditions: FaceAnalyser) -> FaceAnalyser:
    from lib_faceid.faces.analyser import load_face_analyser, load_judge
    from lib_faceid.faces.any_recogniser import JudgePixels

    if options.judge is None:
        return conditions
    if options.judge.is_dir():
        return load_face_analyser(options.judge)
    pixels = JudgePixels(
        options.judge_colours, options.judge_mean, options.judge_std, options.judge_crop, options.judge_size
    )
    return load_judge(options.judge, pixels, options.face_models)


def _evaluate(options: Options) -> None:
    from lib_faceid.app.session import Session
    from lib_faceid.evaluation.drawing import draw_cells
    from lib_faceid.evaluation.keeping import measurement_of
    from lib_faceid.evaluation.plan import open_folder
    from lib_faceid.inventory.measured import keep_measurement

    require_folder(options.out)
    named = tuple(Path(one) for one in options.adapters if Path(one).is_file())
    resources = replace(resources_of(options), adapters=named)
    checkpoint = resources.find_checkpoint()
    plan = _plan(options, checkpoint, adapters_of(options, resources, checkpoint))
    open_folder(options.out, plan)
    print(f"Checkpoint: {checkpoint}\n{_looked_for(options, resources)}".rstrip())
    drawn = draw_cells(plan, Session(resources), checkpoint, options.out, print)
    report = _report(options, resources, plan, drawn)
    _write(report, options.out)
    keep_measurement(resources.roots, measurement_of(report, f"{date.today()}"))  # noqa: DTZ011 - here


def adapters_of(options: Options, resources: Resources, checkpoint: Path) -> tuple[str, ...]:
    """Return the adapters that stand side by side. Raises MissingModelError where all were asked for and none is."""
    from lib_faceid.hosts.diffusers.single_file import read_checkpoint
    from lib_faceid.inventory.check import check_setup
    from lib_faceid.inventory.which import which_one
    from lib_faceid.units.unit import AUTO

    if options.adapters != [ALL]:
        return tuple(options.adapters) or (AUTO,)
    report = check_setup(resources.roots, read_checkpoint(checkpoint)[1].cross_attention_dim)
    found = [one.file for group in which_one(report) for one in group.choices if one.file and not one.lacks]
    if not found:
        raise MissingModelError(f"No adapter for {checkpoint.name} can be used. See: python -m lib_faceid models")
    return tuple(found)


def _plan(options: Options, checkpoint: Path, adapters: tuple[str, ...]) -> Plan:
    from lib_faceid.evaluation.inputs import read_people, read_prompts
    from lib_faceid.evaluation.plan import Plan

    asked = protocol(options.protocol)
    first, count = max(options.first_seed, 0), options.seeds or asked.images or 4
    return Plan(
        protocol=asked,
        people=tuple(read_people(options.people)),
        prompts=read_prompts(options.prompts, asked.prompts),
        seeds=tuple(range(first, first + count)),
        adapters=adapters,
        checkpoint=str(checkpoint),
        steps=asked.steps if options.steps is None else options.steps,
        cfg=asked.cfg if options.cfg is None else options.cfg,
        size_px=options.size,
        weight=asked.weight if options.weight is None else options.weight,
        lora=asked.lora if options.lora is None else options.lora,
    )


def _looked_for(options: Options, resources: Resources) -> str:
    """Return what the protocol wants and was looked for, in sentences; nothing of it is downloaded."""
    from lib_faceid.models.folders import face_pack_folders

    asked = protocol(options.protocol)
    notes = []
    if asked.judge and options.judge is None:
        folders = ", ".join(str(folder) for folder in face_pack_folders(resources.roots)[:3])
        notes.append(
            f"The protocol's judge is {asked.judge}; name its pack or ONNX file with --judge. Packs lie in {folders}."
        )
    if _towers(options, resources) is None:
        places = ", ".join(str(folder / "clip") for folder in resources.roots.all_models)
        notes.append(f"No CLIP with both towers was found in {places}: CLIP-T and CLIP-I are left out.")
    return "\n".join(notes)


def _towers(options: Options, resources: Resources) -> Path | None:
    from lib_faceid.encoders.clip_towers import find_clip_towers

    return options.clip or find_clip_towers(resources.roots)


def _report(options: Options, resources: Resources, plan: Plan, drawn: Lines) -> Report:
    from lib_faceid.encoders.clip_towers import load_clip_towers
    from lib_faceid.evaluation.looking import look_at_people, look_at_pictures, match_pictures
    from lib_faceid.evaluation.plan import ALONE
    from lib_faceid.evaluation.summary import figures_of, people_of
    from lib_faceid.evaluation.tables import Report

    conditions = resources.face_analyser()
    judge = _judge(options, conditions)
    people = people_of(look_at_people(plan, judge))
    seen = look_at_pictures(drawn, options.out, judge, print)
    place = _towers(options, resources)
    towers: ClipTowers | None = load_clip_towers(place) if place else None
    clip = match_pictures(plan, drawn, options.out, towers, print) if towers else {}
    keys = {cell.key for cell in plan.cells()}
    rows = [row for key, row in drawn.rows.items() if key in keys]
    names: Sequence[str] = (ALONE, *plan.adapters)
    figures = tuple(figures_of(plan, name, rows, seen, people, clip) for name in names)
    return Report(plan, people, figures, judge.recogniser, (conditions.recogniser,), towers.name if towers else "")


def _write(report: Report, out: Path) -> None:
    from lib_faceid.evaluation.tables import as_dict, as_markdown, as_svg

    table = as_markdown(report)
    for name, text in (
        ("report.json", json.dumps(as_dict(report), indent=2) + "\n"),
        ("report.svg", as_svg(report)),
        ("report.md", f"{table}\n![Face similarity](report.svg)\n"),
    ):
        (out / name).write_text(text, "utf-8")
    print(f"\n{table}\n{out / 'report.md'}\n{out / 'report.json'}\n{out / 'report.svg'}")
