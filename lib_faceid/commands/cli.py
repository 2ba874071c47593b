"""The command line: draw people, save identities, show what it does, all without a WebUI.

Everything that goes wrong on purpose ends with one sentence and exit code 2, an interruption with 130.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lib_faceid.commands import values
from lib_faceid.commands.aim import add_aim
from lib_faceid.commands.batch import add_batch
from lib_faceid.commands.completion import answer_shell
from lib_faceid.commands.control_options import add_control_options, controls_of
from lib_faceid.commands.diagnose import add_diagnose
from lib_faceid.commands.evaluate import add_evaluate
from lib_faceid.commands.face import add_face_commands
from lib_faceid.commands.job_options import add_job_options, job_options_of
from lib_faceid.commands.journal import add_journal_commands
from lib_faceid.commands.models import add_models
from lib_faceid.commands.outputs import require_file, require_folder
from lib_faceid.commands.parser import Parser
from lib_faceid.commands.picture_options import add_face_models, add_picture_options, resources_of, seed_of
from lib_faceid.commands.ui import add_page
from lib_faceid.commands.unit_options import (
    add_photo_options,
    add_unit_options,
    units_of,
)
from lib_faceid.console import PIPE_CLOSED, finish, use_any_console
from lib_faceid.errors import FaceIDError
from lib_faceid.units.unit import AUTO
from lib_faceid.version import __version__

__all__ = ["main"]

Options = argparse.Namespace


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code of a command line; by default the one that the program was started with."""
    use_any_console()
    parser = _parser()
    answer_shell(parser)
    options = parser.parse_args(arguments)
    return finish(_run(options))


def _run(options: Options) -> int:
    try:
        options.run(options)
    except FaceIDError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    except UnicodeEncodeError as error:  # a name, on a system whose files have names of another alphabet
        name = error.object[error.start : error.end]
        print(f"Error: {name!r} has no place in {error.encoding}. Set PYTHONUTF8=1 and try again.", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return PIPE_CLOSED
    except OSError as error:
        print(
            f"Error: {error.filename or 'a file or the output'} cannot be used ({error.strerror or error}).",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("\nStopped. Pictures that are finished are kept.", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(_program(), description="IP-Adapter FaceID without a WebUI.")
    parser.add_argument("--version", action="version", version=f"sd-webui-faceid {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_generate(commands.add_parser("generate", help="draw the person in a photo"))
    add_aim(commands.add_parser("aim", help="find the weight that makes the picture as alike as you want"))
    _add_identity(commands.add_parser("identity", help="save who is in a photo, to draw the person without it"))
    _add_demo(commands.add_parser("demo", help="one person at four weights, on one sheet"))
    _add_miniature(commands.add_parser("miniature", help="write small random models in the published layouts"))
    add_page(commands.add_parser("ui", help="a page of our own, to try everything in a browser"))
    add_face_commands(commands.add_parser("face", help="judge photos, and keep the people in them"))
    add_diagnose(commands.add_parser("diagnose", help="what went wrong in a picture, and the one thing to change"))
    add_evaluate(commands.add_parser("evaluate", help="adapters side by side, with your weights, people and prompts"))
    add_batch(commands.add_parser("batch", help="hundreds of people in dozens of scenes, from one manifest"))
    add_journal_commands(commands.add_parser("journal", help="what was drawn, how, and how alike it was"))
    add_models(commands.add_parser("models", help="what is there, what is missing, and where to get it"))
    return parser


def _program() -> str:
    """Return how this was started, for usage and errors: by the command that pip makes, or by Python."""
    return "faceid" if Path(sys.argv[0]).stem == "faceid" else "python -m lib_faceid"


def _add_generate(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_generate)
    add_unit_options(parser)
    picture = add_picture_options(parser)
    add_control_options(parser)
    add_job_options(parser)
    picture.add_argument("--count", type=values.count, default=1, help="(%(default)s)")
    picture.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="(%(default)s)")
    picture.add_argument(
        "--no-mark", dest="marks", action="store_false", help="leave out of the files that a model made them (IPTC)"
    )


def _add_identity(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_identity)
    add_photo_options(parser)
    add_face_models(parser.add_argument)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.safetensors")


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_demo)
    parser.add_argument("--photo", type=Path, action="append", default=[], metavar="FILE", help="may be given again")
    add_face_models(parser.add_argument)
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="(a miniature that is made on the spot)")
    parser.add_argument("--adapter", type=Path, metavar="FILE", help="(the same)")
    parser.add_argument("--seed", type=values.seed, default=7, help="(%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), metavar="DIR", help="(%(default)s)")


def _add_miniature(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_miniature)
    parser.add_argument(
        "folder", type=Path, metavar="DIR", help="a folder of their own, laid out like a WebUI's models"
    )


def _generate(options: Options) -> None:
    from lib_faceid.app.hints import EXPECTED, is_stranger
    from lib_faceid.commands.drawing import draw, requests_of
    from lib_faceid.commands.ui import or_miniature
    from lib_faceid.units.tags import find_tags

    controls = controls_of(options.controls)
    is_somebody_needed = not find_tags(options.prompt)[1] and not controls
    units = units_of(options.units) if options.units or is_somebody_needed else []
    require_folder(options.out)
    resources = resources_of(options, units)
    if all(unit.adapter == AUTO for unit in units):  # a real adapter does not fit the miniature
        resources = or_miniature(resources, options.out, print)
    checkpoint = resources.find_checkpoint()
    if is_stranger(checkpoint.stem, units):
        print(EXPECTED)
    requests = requests_of(options, checkpoint, seed_of(options.seed))
    draw(resources, units, requests, options.out, print, job_options_of(options.job), controls)


def _identity(options: Options) -> None:
    from lib_faceid.commands.drawing import save_identity

    (unit,) = units_of(options.units)
    require_file(options.out)
    save_identity(resources_of(options), unit, options.out, print)


def _demo(options: Options) -> None:
    from lib_faceid.commands.demo import run_demo

    require_folder(options.out)
    run_demo(resources_of(options), options.adapter, options.photo, seed_of(options.seed), options.out, print)


def _miniature(options: Options) -> None:
    from lib_faceid.miniature import write_models

    require_folder(options.folder)
    for path in write_models(options.folder):
        print(path)
