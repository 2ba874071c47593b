"""`python -m lib_faceid ui`: the units on a page of our own."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lib_faceid.commands.outputs import require_folder
from lib_faceid.commands.values import whole
from lib_faceid.errors import MissingPackageError
from lib_faceid.models.folders import Roots

if TYPE_CHECKING:
    from lib_faceid.app.resources import Resources

__all__ = ["add_page", "or_miniature", "roots_or_miniature"]

Options = argparse.Namespace


def add_page(parser: argparse.ArgumentParser) -> None:
    """Give a parser the options of the command `ui`."""
    parser.set_defaults(run=_serve)
    parser.add_argument("--port", type=whole(1, 65535), metavar="N", help="(the first free one from 7860 on)")
    parser.add_argument("--units", type=whole(1, 10), default=3, metavar="N", help="1 to 10 (%(default)s)")
    parser.add_argument("--webui", type=Path, metavar="DIR", help="a WebUI's folder, whose models are used")
    parser.add_argument(
        "--no-mark", dest="marks", action="store_false", help="leave out of the files that a model made them (IPTC)"
    )
    parser.add_argument("--face-models", type=Path, metavar="DIR", help="a pack such as buffalo_l")
    parser.add_argument(
        "--out", type=Path, default=Path("out/ui"), metavar="DIR", help="for pictures and the miniature (%(default)s)"
    )
    parser.add_argument("--no-save", dest="saves", action="store_false", help="keep no picture on the disk")


def _serve(options: Options) -> None:
    from lib_faceid.app.resources import Resources
    from lib_faceid.app.session import Session
    from lib_faceid.models.folders import usual_roots

    try:
        from lib_faceid.app.own_page import run_page
    except ImportError as error:
        raise MissingPackageError(
            f"The page needs gradio, which could not be imported ({error}). Run: python dev.py ui"
        ) from error
    roots = usual_roots(options.webui)
    if options.face_models:
        roots = replace(roots, face_models=options.face_models)
    roots, note = roots_or_miniature(roots, options.out, print)
    pictures = options.out if options.saves else None
    if pictures is not None:
        require_folder(pictures)
    run_page(Session(Resources(roots, marks=options.marks)), options.port, options.units, print, note, pictures)


def roots_or_miniature(roots: Roots, out: Path, say: Callable[[str], None]) -> tuple[Roots, str]:
    """Return the roots and "", or where they hold no checkpoint, roots with the miniature below `out`, and a note.

    Face models are looked for in the usual places all the same.
    """
    from lib_faceid.app.resources import Resources
    from lib_faceid.miniature.folder import write_trained_models
    from lib_faceid.miniature.trained import shipped_mb

    if Resources(roots).checkpoints():
        return roots, ""
    folder = out / "models"
    note = (
        f"No checkpoint was found in {roots.all_models[0] / 'Stable-diffusion'}, so this draws with the miniature: "
        f"{shipped_mb()} MB that draw faces on five background colours, roughly. The saved person 'robin' does "
        f"not exist, and was not in its training."
    )
    require_folder(folder)
    say(note)
    for path in write_trained_models(folder):
        say(f"- {path}")
    named = roots.face_models or _pack_folder(roots)
    return replace(roots, models=(folder,), comfyui_models=None, controlnet=None, face_models=named), note


def or_miniature(resources: Resources, out: Path, say: Callable[[str], None]) -> Resources:
    """Return the resources; where it has no checkpoint, one with the miniature below `out`."""
    if resources.checkpoint is not None:
        return resources
    return replace(resources, roots=roots_or_miniature(resources.roots, out, say)[0])


def _pack_folder(roots: Roots) -> Path | None:
    from lib_faceid.faces.packs import find_face_pack

    pack = find_face_pack(roots)
    return pack.detector.parent if pack else None
