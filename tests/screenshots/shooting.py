"""A page that looks the same each time, and its picture as a small file."""

from __future__ import annotations

import io
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from tests.browser.driving import visit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

__all__ = ["MAX_KIB", "opened", "save", "shoot"]

MAX_KIB = 150
MARGIN_PX = 3
SETTLE_MS = 600
HEIGHT_PX = 1000
STILL = "* { animation: none !important; transition: none !important; caret-color: transparent !important; }"
SEED = "7"


@contextmanager
def opened(browser: Browser, address: str, width_px: int, theme: str) -> Generator[Page, None, None]:
    """Give a fresh page with the accordion open and the seed set."""
    context = browser.new_context(
        viewport={"width": width_px, "height": HEIGHT_PX}, locale="en-GB", timezone_id="UTC", reduced_motion="reduce"
    )
    page = context.new_page()
    visit(page, f"{address}/?__theme={theme}")
    page.add_style_tag(content=STILL)
    seed = page.locator("#txt2img_seed input").first
    seed.evaluate("(box, value) => { box.value = value; box.dispatchEvent(new Event('input')); }", SEED)
    yield page
    context.close()


def shoot(page: Page, shown: Sequence[Locator]) -> Image.Image:
    """Return the picture of the smallest rectangle that holds the elements, with a margin."""
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement?.blur()")
    page.wait_for_timeout(SETTLE_MS)
    page.wait_for_function(
        "() => !document.querySelector('.pending, .generating')"
    )  # what is not there yet, gradio pales
    boxes = [box for one in shown if (box := one.bounding_box())]
    scrolled = page.evaluate("[window.scrollX, window.scrollY]")
    left, top = (min(box[edge] for box in boxes) + scroll for edge, scroll in zip(("x", "y"), scrolled, strict=True))
    right = max(box["x"] + box["width"] for box in boxes) + scrolled[0]
    bottom = max(box["y"] + box["height"] for box in boxes) + scrolled[1]
    picture = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
    edges = (left - MARGIN_PX, top - MARGIN_PX, right + MARGIN_PX, bottom + MARGIN_PX)
    limits = (picture.width, picture.height) * 2
    return picture.crop(tuple(min(max(round(edge), 0), limit) for edge, limit in zip(edges, limits, strict=True)))


def save(picture: Image.Image, path: Path) -> float:
    """Write a PNG with as many colours as fit into MAX_KIB; return its size in KiB."""
    for colours in (256, 128, 64, 32):
        file = io.BytesIO()
        picture.quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
        if file.tell() <= MAX_KIB * 1024:
            break
    path.write_bytes(file.getvalue())
    return file.tell() / 1024
