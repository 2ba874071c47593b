"""What the commands that draw are given: which models, and what picture."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_faceid.app.named import named_adapters, named_identities
from lib_faceid.commands import values

if TYPE_CHECKING:
    from lib_faceid.app.resources import Resources
    from lib_faceid.units.unit import Unit

__all__ = ["add_face_models", "add_picture_options", "resources_of", "seed_of"]


def add_picture_options(parser: argparse.ArgumentParser) -> Any:
    """Add the options of models and of one picture; return the latter's group."""
    models = parser.add_argument_group("models", "looked for in the usual places where they are not named")
    models.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="SD 1.5, SDXL or FLUX.1 in one file, or a folder of FLUX.1 (without any: the miniature)",
    )
    add_face_models(models.add_argument)
    models.add_argument("--faces", type=Path, metavar="DIR", help="the people library (models/faceid/faces)")
    models.add_argument("--full-precision", action="store_true", help="float32, where float16 gives black pictures")
    picture = parser.add_argument_group("the picture")
    picture.add_argument("--prompt", type=values.text, required=True)
    picture.add_argument("--negative", type=values.text, default="", metavar="PROMPT")
    picture.add_argument("--seed", type=values.seed, help="of the first picture; the next ones count up (-1: random)")
    picture.add_argument("--steps", type=values.steps, help="(25; the miniature 20)")
    picture.add_argument("--cfg", type=values.cfg, help="how strictly the prompt is followed (7.0; the miniature 2)")
    picture.add_argument("--size", type=values.size, metavar="WxH", help="(512x512, SDXL 1024x1024, miniature 128x128)")
    return picture


def add_face_models(add: Callable[..., object]) -> None:
    """Add where the face models are."""
    add("--face-models", type=Path, metavar="DIR", help="a pack such as buffalo_l")
    add("--yes", action="store_true", help="download the face models where there are none")


def seed_of(seed: int | None) -> int:
    """Return the seed that was typed, or a random one."""
    return secrets.randbelow(2**32) if seed is None or seed < 0 else seed


def resources_of(options: argparse.Namespace, units: Sequence[Unit] = ()) -> Resources:
    """Return where the models are: named in the options, else in the usual places."""
    from lib_faceid.app.resources import Resources
    from lib_faceid.models.folders import usual_roots

    roots = usual_roots()
    if options.face_models:
        roots = replace(roots, face_models=options.face_models)
    names = ("checkpoint", "faces", "full_precision", "marks", "yes")
    return Resources(
        roots,
        adapters=named_adapters(units),
        identities=named_identities(units),
        offers_downloads=True,
        **{name: getattr(options, name) for name in names if hasattr(options, name)},
    )
