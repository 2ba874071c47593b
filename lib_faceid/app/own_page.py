"""A small page of our own: the units as in the WebUI, over the embedded host. Nobody needs a WebUI to try them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from lib_faceid.api.private_files import PrivateFiles, is_inside
from lib_faceid.app.beginnings import beginning
from lib_faceid.app.hints import ROUGHLY, first_person, is_stranger
from lib_faceid.app.last_pictures import LastPictures
from lib_faceid.app.own_host import OwnHost
from lib_faceid.app.own_page_again import build_again, wire_reference
from lib_faceid.app.own_page_aim import wire_aim
from lib_faceid.app.own_page_asked import asked_for, hint_html
from lib_faceid.app.own_page_compare import build_compare, wire_compare
from lib_faceid.app.own_page_control import build_control, control_fields
from lib_faceid.app.own_page_drawing import Drawing
from lib_faceid.app.own_page_form import ANY_SEED, MAX_COUNT, wire_form
from lib_faceid.app.own_page_journal import build_own_journal, journal_if_on
from lib_faceid.app.own_page_reading import build_reading, wire_reading
from lib_faceid.app.own_page_results import build_results
from lib_faceid.app.own_page_style import OWN_STYLE
from lib_faceid.app.page_files import languages, page_file, scripts
from lib_faceid.app.private import StaysHere, private_folder
from lib_faceid.app.session import Session
from lib_faceid.app.visitors import OwnVisitors
from lib_faceid.errors import HostError
from lib_faceid.ui.aim import build_aim
from lib_faceid.ui.host import services_for
from lib_faceid.ui.parts import QUICK, notice, script
from lib_faceid.ui.units import Services, Units, build_units

__all__ = ["asked_for", "build_page", "run_page"]

TAB = "txt2img"  # the WebUI's name: its ids, style and script are then ours too
# What the WebUI offers to the scripts of extensions.
SHIM = """() => {
    const languages = %s, asked = new URLSearchParams(location.search).get("lang");
    const wanted = (asked ? [asked] : navigator.languages).map((one) => one.slice(0, 2).toLowerCase());
    const chosen = wanted.find((one) => one === "en" || languages[one]);
    window.localization = languages[chosen];
    window.faceidRoots = "body";
    document.documentElement.lang = window.localization ? chosen : "en";
    const onUpdate = [];
    window.onAfterUiUpdate = (update) => onUpdate.push(update);
    let waits = false;
    new MutationObserver(() => {
        if (waits) return;
        waits = true;
        setTimeout(() => { waits = false; onUpdate.forEach((update) => update()); }, 200);
    }).observe(document.body, {childList: true, subtree: true});
    %s
}"""


def run_page(
    session: Session, port: int | None, count: int, say: Callable[[str], None], note: str = "",
    pictures: Path | None = None,
) -> None:  # fmt: skip
    """Serve the page at 127.0.0.1 until somebody stops it. Without a port, a free one from 7860 on is taken."""
    with private_folder() as folder:
        page = build_page(session, count, note, pictures)
        try:
            _, address, _ = page.queue().launch(
                server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, quiet=True, show_api=False,
                share=False, app_kwargs={"middleware": _middleware(folder)},
            )  # fmt: skip
        except OSError as error:
            raise HostError(f"Port {port or 'from 7860 on'} is in use. Choose another one with --port N.") from error
        say(f"The page is at {address} (Ctrl+C ends it).")
        page.block_thread()


def _middleware(folder: Path) -> list[Middleware]:
    """Return what stands between a browser and gradio. folder: what lies there is all that is served by path."""
    return [
        Middleware(OwnVisitors),
        Middleware(PrivateFiles, is_private=lambda path: not is_inside(path, [folder])),
        Middleware(StaysHere),
    ]


def build_page(session: Session, count: int = 3, note: str = "", pictures: Path | None = None) -> Any:
    """Return the page with that many units; `note` stands on top of it. pictures: the folder that keeps them."""
    resources = session.resources
    names = list(resources.checkpoints())
    loaded = {"name": names[0] if names else ""}
    last = LastPictures(session)
    services = replace(
        services_for(OwnHost(resources, lambda: loaded["name"])),
        facts_of=last.facts_of,
        draw_plain=last.draw_plain,
        journal=lambda: journal_if_on(resources),
        doubt=lambda unit: ROUGHLY if is_stranger(loaded["name"], [unit]) else "",
    )
    style = page_file("style.css").replace("#img2img_faceid", ".gradio-container") + OWN_STYLE
    theme = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])  # none fetched
    with gr.Blocks(title="IP-Adapter FaceID", theme=theme, css=style, analytics_enabled=False) as page:
        gr.HTML(f'<h1 class="faceid-title">IP-Adapter FaceID</h1>{notice(note)}', elem_id="faceid_page_head")
        with gr.Row(elem_id="faceid_page"):
            with gr.Column(scale=3, min_width=300):
                asked = _picture(names)
                control, metadata = build_control(resources.nets), build_reading()
                units = _units(services, count, first_person(resources, loaded["name"]))
            with gr.Column(scale=2, min_width=300):
                (drawn, lacks), again, comparing = build_results(), build_again(), build_compare()
                aiming = build_aim("faceid_aim")
        tab = build_own_journal(resources)
        drawing = Drawing(session, last, pictures)
        inputs = [*asked, *control.components, *units.arguments]
        _wire(drawing, inputs, drawn, again)
        wire_reference(again, drawn[3], lambda: [one.image for one in drawing.pictures], units.parts[0].who.drop)
        wire_compare(comparing, again[2], lambda: drawing.pictures)
        chosen = asked[2].change(lambda name: loaded.update(name=name), [asked[2]], None, **QUICK)
        chosen.then(None, None, None, **script("() => { window.faceidRefill?.(); return []; }"), **QUICK)
        opened = wire_form(page, asked, units, resources.checkpoints, control)
        opened.then(lambda name: loaded.update(name=name), [asked[2]], None, **QUICK)
        _wire_hint(inputs, [asked[0], asked[2], control.components[0], *units.who], lacks, opened)
        wire_aim(session, aiming, inputs, units.components, asked_for)
        fields = [*control_fields(control.components, resources.nets), *units.infotext_fields]
        wire_reading(metadata, asked, fields, resources.checkpoints, [(tab.back, tab.infotext)])
        page.load(None, None, None, **script(SHIM % (languages(), scripts())))
    return page


def _units(services: Services, count: int, person: str) -> Units:
    with gr.Column(elem_id=f"{TAB}_script_container"):
        return build_units(TAB, services, count, is_open=True, person=person)


def _picture(names: Sequence[str]) -> list[Any]:
    """Return the components of the request: prompt, negative, checkpoint, width, height, steps, cfg, seed, count."""
    first = beginning(names[0] if names else "")
    width_px, height_px = first.size_px or (512, 512)
    prompt = gr.Textbox(first.prompt, label="Prompt", lines=2, elem_id=f"{TAB}_prompt")
    negative = gr.Textbox("", label="Negative prompt", elem_id=f"{TAB}_neg_prompt")
    checkpoint = gr.Dropdown(
        list(names) or [""], value=names[0] if names else "", label="Checkpoint", elem_id="faceid_checkpoint"
    )
    with gr.Accordion("Picture", open=False, elem_id="faceid_picture"):
        with gr.Row():
            width = gr.Slider(64, 2048, width_px, step=8, label="Width", elem_id=f"{TAB}_width")
            height = gr.Slider(64, 2048, height_px, step=8, label="Height", elem_id=f"{TAB}_height")
        with gr.Row():
            steps = gr.Slider(1, 100, first.steps, step=1, label="Steps", elem_id=f"{TAB}_steps")
            cfg = gr.Slider(1, 20, first.cfg, step=0.5, label="CFG scale", elem_id=f"{TAB}_cfg_scale")
        with gr.Row():
            seed = gr.Number(ANY_SEED, precision=0, label="Seed (-1: another one each time)", elem_id=f"{TAB}_seed")
            count = gr.Slider(1, MAX_COUNT, 1, step=1, label="Pictures", elem_id=f"{TAB}_count")
    return [prompt, negative, checkpoint, width, height, steps, cfg, seed, count]


def _wire(drawing: Drawing, inputs: Sequence[Any], drawn: Sequence[Any], again: Sequence[Any]) -> None:
    """Let the buttons draw. again: what goes on from the pictures."""
    generate, stop, _, gallery, sort, below = drawn
    outputs = [*drawn, *again[:2]]
    generate.click(drawing.generated, list(inputs), outputs, show_progress="hidden")
    again[0].click(drawing.varied, list(inputs), outputs, show_progress="hidden")
    sort.click(drawing.by_likeness, None, [gallery, below], **QUICK)
    stop.click(drawing.stop, None, None, **QUICK)


def _wire_hint(inputs: Sequence[Any], changing: Sequence[Any], state: Any, opened: Any) -> None:
    """Say beside the button what the next picture will lack: when the page is open, and who is asked for changes."""
    for component in changing:
        component.change(lambda *args: hint_html(args), list(inputs), [state], **QUICK)
    opened.then(lambda *args: hint_html(args), list(inputs), [state], **QUICK)
