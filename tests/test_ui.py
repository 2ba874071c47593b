"""The page without a browser: its components are the unit's fields, and what its callbacks give back."""

from __future__ import annotations

import base64
import copy
import io
import json
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lib_faceid.encoders.crops import Crop, crop
from lib_faceid.errors import DownloadError, HostError, PhotoError
from lib_faceid.inventory.check import Auto, Row, SetupReport
from lib_faceid.methods.registry import by_id, methods_for, variants
from lib_faceid.models.catalogue import catalogue, entry
from lib_faceid.pictures.photo import MAX_BASE64_BYTES
from lib_faceid.ui.preview import Preview, View, preview_image
from lib_faceid.units.infotext import unit_to_infotext
from lib_faceid.units.photos import MAX_PHOTOS
from lib_faceid.units.unit import Unit
from lib_faceid.units.weight_types import WEIGHT_TYPES

gr = pytest.importorskip("gradio")

from lib_faceid.ui import photos  # noqa: E402
from lib_faceid.ui.parts import leaves, notice  # noqa: E402
from lib_faceid.ui.photos import LARGEST, add, encoded, remove, reweigh, show  # noqa: E402
from lib_faceid.ui.purpose import PARTS  # noqa: E402
from lib_faceid.ui.services import attempt  # noqa: E402
from lib_faceid.ui.settings import used_by  # noqa: E402
from lib_faceid.ui.setup import download_steps, licence_text, missing, table  # noqa: E402
from lib_faceid.ui.traces import Received  # noqa: E402
from lib_faceid.ui.units import Services, build_units  # noqa: E402


def built(tab: str = "txt2img", count: int = 3) -> tuple[Any, list[Any]]:
    with gr.Blocks() as page:
        components = build_units(tab, Services(), count).components
    return page, components


# ------------------------------------------------------------------------------------------------------ components
def test_every_control_has_a_label_and_an_id_of_its_own() -> None:
    page, _ = built()
    controls = [one for one in leaves(page) if type(one).__name__ not in ("State", "HTML")]
    for control in controls:
        assert getattr(control, "label", None) or getattr(control, "value", None), control
    ids = [one.elem_id for one in controls]
    assert None not in ids
    assert len(set(ids)) == len(ids)
    assert all(one.do_not_save_to_config for one in controls)


# ---------------------------------------------------------------------------------------------------------- photos
def picture(shade: int = 0, size: tuple[int, int] = (40, 30)) -> Image.Image:
    return Image.fromarray(np.full((size[1], size[0], 3), shade, np.uint8))


def decoded(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


def test_a_dropped_picture_is_kept_without_loss_and_a_file_as_it_is(tmp_path: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (50, 40, 4), np.uint8), "RGBA")
    assert np.array_equal(np.asarray(decoded(encoded(noise))), np.asarray(noise))
    path = tmp_path / "me.jpg"
    picture(90).save(path)
    assert base64.b64decode(encoded(path)) == path.read_bytes()
    assert encoded(Received("me.jpg", path.read_bytes())) == encoded(path)
    with pytest.raises(PhotoError, match=r"me\.jpg is larger than 20 MiB"):
        encoded(Received("me.jpg", bytes(MAX_BASE64_BYTES + 1)))


def test_a_huge_picture_is_kept_as_jpeg() -> None:
    huge = decoded(encoded(picture(90, (2500, 1700)).convert("RGBA")))
    assert (huge.format, huge.size) == ("JPEG", (2500, 1700))


def test_pixels_that_are_too_many_are_halved_until_they_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A telephone's 200 megapixels, or a file beyond what base64 may hold."""
    monkeypatch.setattr(photos, "MAX_PIXELS", 4_100_000)
    assert decoded(encoded(picture(90, (2500, 1700)))).size == (1250, 850)
    monkeypatch.setattr(photos, "MAX_PIXELS", 110_000_000)
    monkeypatch.setattr(photos, "MAX_BASE64_BYTES", 20_000)
    assert decoded(encoded(picture(90, (2500, 1700)))).size < (2500, 1700)


def test_what_cannot_be_read_is_named_and_the_others_stay(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    photos, message = add([], [picture(1), tmp_path / "text.png", picture(2), picture(1)])
    assert [photo["weight"] for photo in photos] == [1.0, 1.0]
    assert "text.png" in message
    assert "here already" in message


def test_no_more_photos_than_a_unit_takes() -> None:
    photos, message = add([], [picture(shade) for shade in range(MAX_PHOTOS + 3)])
    assert len(photos) == MAX_PHOTOS
    assert str(MAX_PHOTOS) in message
    Unit.from_dict({"images": photos})


def test_the_photos_of_a_unit_can_be_kept_and_sent_on() -> None:
    photos, _ = add([], [picture(1), picture(2)])
    before = copy.deepcopy(photos)
    assert json.loads(json.dumps(photos)) == pickle.loads(pickle.dumps(photos)) == photos
    assert [photo["weight"] for photo in reweigh(photos, 1, 2.5)] == [1.0, 2.5]
    assert remove(photos, 0) == photos[1:]
    assert remove(photos, None) == reweigh(photos, None, 9) == photos == before


def looked(_photo: str, view: View) -> Preview:
    told = f"face {view.face}, {view.clip_crop}"
    return Preview(picture(), 3, 2, "usable (0.70)", told, ("<b>Too small</b>.",), picture(9))


def test_what_is_shown_of_photos() -> None:
    photos, _ = add([], [picture(1), picture(2)])
    shown = show(Services(look=looked), reweigh(photos, 1, 2), View(face="2", clip_crop="head"))
    assert [caption for _, caption in shown.gallery] == ["1 · usable (0.70)", "2 · usable (0.70) · weight 2"]
    assert shown.faces == [LARGEST, "1", "2", "3"]
    assert "face 2, head" in shown.cards
    assert "&lt;b&gt;Too small&lt;/b&gt;." in shown.cards
    assert "<b>" not in shown.cards
    assert 'alt="The face that is used of photo 1"' in shown.cards


def failing(error: Exception) -> Callable[..., Any]:
    def fail(*_args: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize("error", [HostError("No face models. Get them."), RuntimeError("surprise")])
def test_a_look_that_fails_costs_a_sentence(error: Exception) -> None:
    photos, _ = add([], [picture(1)])
    shown = show(Services(look=failing(error)), photos, View())
    assert str(error) in shown.cards
    assert shown.gallery[0][1] == "1 · not checked"
    assert shown.faces == [LARGEST]


def test_no_photos_show_nothing() -> None:
    shown = show(Services(), [], View())
    assert (shown.gallery, shown.cards, shown.faces) == ([], "", [LARGEST])


def test_attempt_names_the_kind_of_a_surprise_only() -> None:
    assert attempt(lambda: 3) == (3, "")
    assert attempt(failing(PhotoError("Too dark."))) == (None, "Too dark.")
    assert attempt(failing(KeyError("x"))) == (None, "KeyError: 'x'")
    assert attempt(Services().saved, "person")[1] == "That is not available here."


def test_a_notice_is_escaped_and_an_error_is_announced() -> None:
    assert notice("") == ""
    assert notice("<i>", "error") == '<div class="faceid-notice faceid-error" role="alert">&lt;i&gt;</div>'


# -------------------------------------------------------------------------------------------------------- settings
NET = {"net_weight", "net_start", "net_end", "keypoints"}


def test_only_what_a_variant_uses_is_shown() -> None:
    used = {variant.id: {name for name, is_used in used_by(variant).items() if is_used} for variant in variants()}
    of_images = {variant.id for method in methods_for("image") for variant in method.variants}
    assert used == {
        "plusv2": {"structure", "lora", "clip_crop"},
        "plus": {"lora", "clip_crop"},
        "portrait": set(),
        "faceid": {"lora"},
        "portrait_unnorm": set(),
        "instantid": NET,
        "photomaker_v2": {"lora"},
        "photomaker_v1": {"lora"},
    } | {name: {"image_crop"} for name in of_images} | {"redux": {"image_crop", "detail"}}
    without_net = dict.fromkeys(NET | {"detail"}, False)
    assert used_by(by_id("faceid")) == without_net | {
        "structure": False, "lora": True, "clip_crop": False, "image_crop": False,
    }  # fmt: skip


def test_an_unknown_variant_may_use_all_that_its_purpose_has() -> None:
    assert {name for name, is_used in used_by(None).items() if is_used} == {"structure", "lora", "clip_crop"} | NET
    assert {name for name, is_used in used_by(None, "image").items() if is_used} == {"image_crop", "detail"}


# --------------------------------------------------------------------------------------------------------- purpose
def switch(
    purpose: str, chosen_before: tuple[str, str, str] = ("Auto", "Auto", ""), pasted: str = "", **services: Any
) -> dict[str, Any]:
    """What the page changes where the first unit's reference is now for that: elem_id -> its update.

    chosen_before: adapter, variant and saved reference.
    """
    here: dict[str, Any] = {
        "adapters_for": lambda _purpose: [],
        "saved": lambda _purpose: ["Sunset"],
        "auto_means": lambda one: f"Auto: {one}.",
    }
    with gr.Blocks() as page:
        build_units("txt2img", Services(**here | services), 1)
    chosen = next(one for one in leaves(page) if one.elem_id == "txt2img_faceid_0_purpose")
    functions = page.fns.values() if isinstance(page.fns, dict) else page.fns
    (switched,) = [one.fn for one in functions if getattr(one.fn, "__name__", "") == "switched"]
    updates = switched(purpose, pasted, *chosen_before)
    outputs = _outputs(page, chosen, len(updates))
    return {one.elem_id.removeprefix("txt2img_faceid_0_"): update for one, update in zip(outputs, updates, strict=True)}


def _outputs(page: Any, chosen: Any, count: int) -> list[Any]:
    """The components that the event of that many outputs on a component changes."""
    if isinstance(page.fns, dict):  # gradio 4
        return next(fn.outputs for fn in page.fns.values() if len(fn.outputs) == count and chosen in fn.inputs)
    found = next(one for one in page.dependencies if len(one["outputs"]) == count and chosen._id in one["inputs"])
    return [page.blocks[number] for number in found["outputs"]]


def test_an_image_has_no_face_and_its_own_choices() -> None:
    image, person = switch("image"), switch("person")
    for name in ("mark", "preset", "adetailer", "adetailer_weight", "structure", "lora", "clip_crop"):
        assert (image[name]["visible"], person[name]["visible"]) == (False, True), name
    for name in ("image_part", "image_crop"):
        assert (image[name]["visible"], person[name]["visible"]) == (True, False), name
    assert {"add", "subtract"} <= set(_values(image["combine"]))
    assert not {"add", "subtract"} & set(_values(person["combine"]))
    assert (image["save_person"]["label"], person["save_person"]["label"]) == ("Save image", "Save person")
    assert (image["upload"]["label"], person["upload"]["label"]) == ("Add images…", "Add photos…")
    assert (image["person"]["label"], _values(image["person"])) == ("Saved image", ["", "Sunset"])
    assert "ip_adapter_plus" in _values(image["variant"])
    assert "plusv2" not in _values(image["variant"])
    assert ("Auto: image." in str(image["auto"]), "Auto: person." in str(person["auto"])) == (True, True)


FILES = {"person": "ip-adapter-faceid_sd15.bin", "image": "ip-adapter_sd15.bin"}


def listed_for(purpose: str) -> list[Path]:
    return [Path(FILES[purpose])]


def names_for(purpose: str) -> list[str]:
    return {"person": ["Eileen"], "image": ["Sunset"]}[purpose]


OF_IMAGES, OF_PEOPLE = (FILES["image"], "ip_adapter", "Sunset"), (FILES["person"], "plusv2", "Eileen")


@pytest.mark.parametrize(
    ("chosen", "taken_back"),
    [
        (OF_IMAGES, {}),
        (OF_PEOPLE, {"adapter": "Auto", "variant": "Auto", "person": ""}),
        (("ip-adapter-faceid_sd15", "Auto", ""), {"adapter": "Auto"}),
    ],
)
def test_a_switch_takes_back_what_only_the_other_purpose_has(
    chosen: tuple[str, str, str], taken_back: dict[str, str]
) -> None:
    changed = switch("image", chosen, adapters_for=listed_for, saved=names_for)
    assert {n: changed[n]["value"] for n in ("adapter", "variant", "person") if "value" in changed[n]} == taken_back


def test_a_paste_keeps_what_was_drawn_with_until_the_user_switches() -> None:
    """It sets purpose and choices at once: when the page hears of the purpose, all of them are there."""
    odd = Unit(purpose="image", adapter=FILES["person"], variant="plusv2")
    line = unit_to_infotext(odd, odd.adapter, odd.variant)
    pasted = switch("image", OF_PEOPLE, line, adapters_for=listed_for, saved=names_for)
    assert not any("value" in pasted[name] for name in ("adapter", "variant", "person"))
    assert "plusv2" in _values(pasted["variant"]), "or gradio 4 shows nothing at all"
    by_hand = switch("person", OF_IMAGES, line, adapters_for=listed_for, saved=names_for)
    assert all("value" in by_hand[name] for name in ("adapter", "variant", "person"))


def test_a_choice_that_is_missing_here_stays_where_the_purpose_changes() -> None:
    changed = switch("image", ("elsewhere.bin", "Auto", "Nobody"), adapters_for=listed_for, saved=names_for)
    assert "value" not in changed["adapter"]
    assert "value" not in changed["person"]


def _values(update: dict[str, Any]) -> list[str]:
    return [one[1] if isinstance(one, tuple) else one for one in update["choices"]]


def test_the_parts_of_an_image_are_weight_types() -> None:
    assert set(PARTS) == {"everything", "style", "composition"}
    assert set(PARTS.values()) <= set(WEIGHT_TYPES)


def no_face_models() -> Any:
    raise AssertionError("an image needs no face models")


@pytest.mark.parametrize("how", ["square", "padded", "whole"])
def test_what_an_encoder_sees_of_an_image_is_shown_without_looking_for_a_face(how: Crop) -> None:
    wide = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 100, 3), np.uint8))
    shown = preview_image(encoded(wide), how, no_face_models)
    assert np.array_equal(np.asarray(shown.crop), crop(np.asarray(wide), how))
    assert (shown.facts, shown.verdict, shown.number) == ("100x60 px", how, None)
    assert bool(shown.hints) == (how == "square"), "what a square leaves out is said"


def test_the_card_of_an_image_speaks_of_no_face() -> None:
    photos, _ = add([], [picture(1)])
    look = Services(look=lambda photo, _view: preview_image(photo, "square", no_face_models))
    shown = show(look, photos, View(purpose="image"))
    assert 'alt="What is seen of image 1"' in shown.cards
    assert "face is" not in shown.cards
    assert shown.gallery[0][1] == "1 · square"


# ----------------------------------------------------------------------------------------------------------- setup
def report(*rows: Row) -> SetupReport:
    return SetupReport(768, rows, (Auto(768, None, "There is no adapter."),), (), {"python": "3"})


def test_the_table_says_what_is_there_and_escapes_names() -> None:
    found = Row("adapter", "<script>", "found", 768, "plus", (Path("/a/<b>.bin"),), 5, "none", "Fine & good")
    html = table(report(found, Row("face_models", "Face models", "missing", entry=entry("buffalo_l"))))
    for part in (
        "&lt;script&gt;",
        "&lt;b&gt;.bin",
        "Fine &amp; good",
        "Auto for people, SD 1.5: nothing yet",
        "missing",
    ):
        assert part in html
    assert "<script>" not in html


def test_missing_models_are_offered_once() -> None:
    rows = [Row("face_models", "x", state, entry=entry("buffalo_l")) for state in ("missing", "damaged")]
    assert missing(report(*rows, Row("clip_vision", "y", "found", entry=entry("clip_vit_h")))) == [entry("buffalo_l")]


@pytest.mark.parametrize("one", catalogue(), ids=lambda one: one.id)
def test_before_a_download_everything_is_said(one: Any) -> None:
    html = licence_text(one)
    for part in (one.url, one.size, one.sha256 or "none is published", one.licence.url):
        assert part.replace("&", "&amp;") in html


def test_a_download_accepts_the_licence_first_and_shows_how_far_it_is() -> None:
    done: list[str] = []
    goes_on = threading.Event()

    def fetch(name: str, progress: Callable[[int, int | None], None], _is_stopped: Callable[[], bool]) -> str:
        done.append(f"download {name}")
        progress(5_000_000, 10_000_000)
        goes_on.wait(20)
        return "It is here."

    services = Services(accept_licence=lambda name: done.append(f"accept {name}"), download=fetch)
    said: list[tuple[str, bool]] = []
    for html, is_over in download_steps(services, "buffalo_l", threading.Event()):
        said.append((html, is_over))
        if "5 of 10 MB" in html:
            goes_on.set()
    assert done == ["accept buffalo_l", "download buffalo_l"]
    assert '<progress value="5000000" max="10000000">' in "".join(html for html, _ in said)
    assert [is_over for _, is_over in said] == [False] * (len(said) - 1) + [True]
    assert "It is here." in said[-1][0]


def test_a_download_that_fails_says_why() -> None:
    services = Services(accept_licence=lambda _name: None, download=failing(DownloadError("You are offline.")))
    *_, (html, is_over) = download_steps(services, "buffalo_l", threading.Event())
    assert is_over
    assert "You are offline." in html


def test_a_person_is_saved_as_the_unit_shows_them_to_clip() -> None:
    """The unit's "CLIP sees" is saved with the person, as the HTTP API and a job have it."""
    saved: list[Unit] = []

    def save(name: str, unit: Unit) -> tuple[str, str]:
        saved.append(unit)
        return name, "It is dark." if name == "Sea" else ""

    with gr.Blocks() as page:
        build_units("txt2img", Services(save=save), 1)
    fns = page.fns.values() if isinstance(page.fns, dict) else page.fns
    (function,) = [one.fn for one in fns if getattr(one.fn, "__name__", "") == "saved"]
    assert "faceid-warning" not in function("Anna", "average", [], "largest", "head", "Auto", "person")[0]
    said = function("Sea", "add", [], "largest", "face", "padded", "image")[0]
    assert said == notice("Sea", "good") + notice("It is dark.", "warning")
    assert [(unit.purpose, unit.clip_crop, unit.image_crop) for unit in saved] == [
        ("person", "head", "Auto"), ("image", "face", "padded"),
    ]  # fmt: skip
