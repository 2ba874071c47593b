"""Takes the pictures in docs/images: `python dev.py screenshots`. Size, language and seed are fixed.

Nobody on them exists: without --photo the faces in photos are drawn from formulas (nobody.py), and what the miniature
draws (drawings.py, and the picture on the page) are strangers, whose photos are blended of several people's.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageEnhance, ImageFilter

from lib_faceid.faces.analyser import load_face_analyser
from lib_faceid.miniature.trained import write_trained_checkpoint
from tests.browser.serving import own_page, write_random_models
from tests.gallery import Gallery, strangers
from tests.screenshots.drawings import DRAWINGS
from tests.screenshots.nobody import ADA, BEN, draw
from tests.screenshots.recipes import SHOTS, WEBUI_SHOT, Cast, Shot
from tests.screenshots.shooting import opened, save, shoot

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PROJECT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("FACEID_TEST_DATA") or PROJECT.parent / "shared" / "data")
MAX_KIB_IN_ALL = 1024


def main(argv: Sequence[str] | None = None) -> int:
    """Return the exit status: 1 where the pictures together are too large."""
    options = _options(argv)
    wanted = [shot for shot in SHOTS if shot.name in (options.shot or [shot.name])]
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.webui:
        _draw([name for name in DRAWINGS if name in (options.shot or [name])], options)
    with tempfile.TemporaryDirectory(prefix="faceid-screenshots-") as folder, _browser() as browser:
        cast = _cast(Path(folder), options.photo)
        if options.webui:
            _take(browser, options.webui, WEBUI_SHOT, cast, options.out)
        else:
            for is_random in (False, True):
                _take_all(browser, [shot for shot in wanted if shot.is_random == is_random], cast, options)
    total_kib = sum(path.stat().st_size for path in options.out.glob("*.png")) / 1024
    print(f"{options.out}: {total_kib:.0f} KiB in all; {MAX_KIB_IN_ALL} may be")
    return int(total_kib > MAX_KIB_IN_ALL)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py screenshots", description=__doc__)
    parser.add_argument(
        "shot", nargs="*", choices=[[], *(shot.name for shot in SHOTS), *DRAWINGS], help="only these (all)"
    )
    parser.add_argument("--photo", type=Path, metavar="FILE", help="a face that may be published, instead of the drawn")
    parser.add_argument("--face-models", type=Path, metavar="DIR", help="a pack such as buffalo_l")
    parser.add_argument("--webui", metavar="URL", help="take the one picture of a running WebUI instead")
    parser.add_argument("--out", type=Path, default=PROJECT / "docs" / "images", metavar="DIR", help="(%(default)s)")
    return parser.parse_args(argv)


def _draw(names: Sequence[str], options: argparse.Namespace) -> None:
    """Have the miniature draw its pictures."""
    if not names:
        return
    analyser = load_face_analyser(_pack(options.face_models))
    with tempfile.TemporaryDirectory(prefix="faceid-drawings-") as folder:
        checkpoint = write_trained_checkpoint(Path(folder) / "miniature.safetensors")
        gallery = Gallery(Path(folder), checkpoint, analyser, strangers("never_seen"))
        for name in names:
            print(f"{name}.png: {save(DRAWINGS[name](gallery), options.out / f'{name}.png'):.0f} KiB", flush=True)


def _cast(folder: Path, photo: Path | None) -> Cast:
    """Write the photos that are dropped on the page."""
    cast = Cast(**{one.name: folder / f"{one.name}.png" for one in fields(Cast)})
    one = Image.open(photo).convert("RGB") if photo else draw([ADA])
    one.save(cast.one)
    draw([BEN]).save(cast.other)
    draw([ADA, BEN], (1024, 640)).save(cast.both)
    ImageEnhance.Brightness(one).enhance(0.16).save(cast.dark)
    one.filter(ImageFilter.GaussianBlur(one.width / 64)).save(cast.blurred)
    return cast


def _link_face_models(folder: Path, named: Path | None) -> None:
    """Put the face models where the page finds them by itself, so that the pictures show no path of this machine."""
    pack = _pack(named)
    packs = folder / "models" / "insightface" / "models"
    packs.mkdir(parents=True)
    (packs / pack.name).symlink_to(pack.resolve())


def _pack(named: Path | None) -> Path:
    pack = named or DATA / "face_models" / "models" / "buffalo_sc_f32"
    if not pack.is_dir():
        sys.exit(f"There are no face models in {pack}. Name a pack such as buffalo_l with --face-models.")
    return pack


@contextmanager
def _browser() -> Generator[Browser, None, None]:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        sys.exit("No chromium was found. Install one (Debian: apt install chromium).")
    arguments = ["--no-sandbox", "--disable-gpu", "--font-render-hinting=none", "--hide-scrollbars"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()


def _take_all(browser: Browser, shots: Sequence[Shot], cast: Cast, options: argparse.Namespace) -> None:
    """Take the pictures of one page: of a fresh one, which begins with the miniature, or of one with random models."""
    if not shots:
        return
    with tempfile.TemporaryDirectory(prefix="faceid-page-") as folder:
        _link_face_models(Path(folder), options.face_models)
        if shots[0].is_random:
            write_random_models(Path(folder) / "models")
        with own_page(Path(folder)) as address:
            for shot in shots:
                _take(browser, address, shot, cast, options.out)


def _take(browser: Browser, address: str, shot: Shot, cast: Cast, out: Path) -> None:
    with opened(browser, address, shot.width_px, shot.theme) as page:
        size_kib = save(shoot(page, shot.stage(page, cast)), out / f"{shot.name}.png")
    print(f"{shot.name}.png: {size_kib:.0f} KiB", flush=True)


if __name__ == "__main__":
    sys.exit(main())
