"""The page's units whose reference is an image: one look at the files for all images, and words of their own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

gr = pytest.importorskip("gradio")

from lib_faceid.app.own_host import OwnHost  # noqa: E402
from lib_faceid.app.resources import Resources  # noqa: E402
from lib_faceid.inventory.check import check_setup  # noqa: E402
from lib_faceid.models.folders import Roots  # noqa: E402
from lib_faceid.ui import host  # noqa: E402
from lib_faceid.ui.paste import missing  # noqa: E402
from lib_faceid.ui.photos import Photos, add, show  # noqa: E402
from lib_faceid.ui.preview import Preview, View  # noqa: E402
from lib_faceid.ui.services import Services  # noqa: E402
from lib_faceid.units.infotext import unit_to_infotext  # noqa: E402
from lib_faceid.units.photos import MAX_PHOTOS  # noqa: E402
from lib_faceid.units.unit import Unit  # noqa: E402


def images(count: int) -> Photos:
    return add([], [Image.new("RGB", (40, 30), (shade, 0, 0)) for shade in range(count)], "image")[0]


def test_the_files_are_looked_at_once_for_all_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int | None] = []

    def counted(roots: Roots, family: int | None = None) -> Any:
        looks.append(family)
        return check_setup(roots, family)

    monkeypatch.setattr(host, "check_setup", counted)
    services = host.services_for(OwnHost(Resources(Roots((tmp_path,))), lambda: ""))
    shown = show(services, images(MAX_PHOTOS), View(purpose="image"))
    assert [caption for _, caption in shown.gallery] == [f"{number} · square" for number in range(1, MAX_PHOTOS + 1)]
    assert len(looks) == 1
    show(services, [], View(purpose="image"))
    assert len(looks) == 1


def test_what_is_seen_of_each_image_is_what_the_adapter_was_trained_with() -> None:
    crops: list[str] = []

    def look(_photo: str, view: View) -> Preview:
        crops.append(view.image_crop)
        return Preview(Image.new("RGB", (8, 8)), 0, None, view.image_crop, "", ())

    services = Services(
        look=look, image_crop_of=lambda view: "face" if view.variant == "ip_adapter_plus_face" else "whole"
    )
    show(services, images(2), View(purpose="image"))
    show(services, images(1), View(purpose="image", variant="ip_adapter_plus_face"))
    show(Services(look=look), images(1), View(purpose="image"))  # where no adapter is known
    show(services, images(1), View(purpose="person"))
    assert crops == ["whole", "whole", "face", "square", "Auto"]


def test_an_image_is_never_called_a_photo() -> None:
    one = images(1)
    again, twice = add(one, [Image.new("RGB", (40, 30))], "image")
    assert (again, twice) == (one, "That image is here already.")
    _, full = add([], [Image.new("RGB", (9, 9), (shade, 9, 9)) for shade in range(MAX_PHOTOS + 1)], "image")
    assert full == f"{MAX_PHOTOS} images are enough: the others were left out."
    unit = Unit(purpose="image")
    line, lines = (unit_to_infotext(unit, "a", "b", one, one[1:]) for one in (("0123",), ("0123", "4567")))
    unread = show(Services(), one, View(purpose="image")).cards  # nothing can be looked at here
    texts = [twice, full, unread, *(missing(Services(), one, [], "") for one in (line, lines))]
    assert [text for text in texts if re.search("photo", re.sub("faceid-[a-z]+", "", text), re.IGNORECASE)] == []
    assert "made from an image that is not here (0123). Add the image or pick a saved image." in texts[3]
    assert "made from images that are not here" in texts[4]
    assert "less like another image" in texts[4]
