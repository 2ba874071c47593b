"""A small page of our own: the units as in the WebUI, over the embedded host. Nobody needs a WebUI to try them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from lib_faceid.commands.painting import Easel
from lib_faceid.errors import FaceIDError
from lib_faceid.hosts.request import Request
from lib_faceid.page.host import services_for
from lib_faceid.page.parts import QUICK, notice, script
from lib_faceid.page.services import problem
from lib_faceid.page.units import Services, unit_components
from lib_faceid.unit import units_from_args

__all__ = ["build_page", "run_page"]

PROJECT = Path(__file__).resolve().parents[2]
TAB = "txt2img"  # the WebUI's name: its ids, style and script are then ours too
RANDOM = -1
MAX_COUNT = 8
# What the WebUI offers to the scripts of extensions.
OWN_STYLE = """
footer { display: none !important; }
.faceid-title { font-size: 1.6em; font-weight: 600; }
.faceid-applied { margin: 0.5em 0; padding-left: 1.2em; list-style: disc; }
.faceid-parameters { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 0.85em; }
"""
SHIM = """() => {
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


def run_page(easel: Easel, port: int | None, count: int, say: Callable[[str], None], note: str = "") -> None:
    """Serve the page at 127.0.0.1 until somebody stops it. Without a port, a free one from 7860 on is taken."""
    page = build_page(easel, count, note)
    _, address, _ = page.queue().launch(
        server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, quiet=True, show_api=False, share=False
    )
    say(f"The page is at {address} (Ctrl+C ends it).")
    page.block_thread()


def build_page(easel: Easel, count: int = 3, note: str = "") -> Any:
    """Return the page with that many units; `note` stands on top of it."""
    names = list(easel.checkpoints())
    loaded = {"name": names[0] if names else ""}
    services = services_for(lambda: easel.roots, lambda: easel.family(loaded["name"]), easel.models())
    style = (PROJECT / "style.css").read_text("utf-8") + OWN_STYLE
    theme = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])  # none fetched
    with gr.Blocks(title="IP-Adapter FaceID", theme=theme, css=style, analytics_enabled=False) as page:
        gr.HTML(f'<h1 class="faceid-title">IP-Adapter FaceID</h1>{notice(note)}', elem_id="faceid_page_head")
        with gr.Row(elem_id="faceid_page"):
            with gr.Column(scale=3, min_width=300):
                asked = _picture(names)
                units = _units(services, count)
            with gr.Column(scale=2, min_width=300):
                drawn = _drawn()
        _wire(easel, loaded, [*asked, *units], drawn)
        code = (PROJECT / "javascript" / "ip_adapter_faceid.js").read_text("utf-8")
        page.load(None, None, None, **script(SHIM % code))
    return page


def _units(services: Services, count: int) -> list[Any]:
    with gr.Column(elem_id=f"{TAB}_script_container"):
        return unit_components(TAB, services, count)


def _picture(names: Sequence[str]) -> list[Any]:
    """Return the components of the request: prompt, negative, checkpoint, width, height, steps, cfg, seed, count."""
    is_small = bool(names) and names[0].startswith("miniature")
    side_px = 256 if is_small else 512
    prompt = gr.Textbox("a photo of a person in a garden, smiling", label="Prompt", lines=2, elem_id=f"{TAB}_prompt")
    negative = gr.Textbox("", label="Negative prompt", elem_id=f"{TAB}_neg_prompt")
    checkpoint = gr.Dropdown(
        list(names) or [""], value=names[0] if names else "", label="Checkpoint", elem_id="faceid_checkpoint"
    )
    with gr.Accordion("Picture", open=False, elem_id="faceid_picture"):
        with gr.Row():
            width = gr.Slider(64, 2048, side_px, step=8, label="Width", elem_id=f"{TAB}_width")
            height = gr.Slider(64, 2048, side_px, step=8, label="Height", elem_id=f"{TAB}_height")
        with gr.Row():
            steps = gr.Slider(1, 100, 6 if is_small else 25, step=1, label="Steps", elem_id=f"{TAB}_steps")
            cfg = gr.Slider(1, 20, 4 if is_small else 7, step=0.5, label="CFG scale", elem_id=f"{TAB}_cfg_scale")
        with gr.Row():
            seed = gr.Number(RANDOM, precision=0, label="Seed (-1: another one each time)", elem_id=f"{TAB}_seed")
            count = gr.Slider(1, MAX_COUNT, 1, step=1, label="Pictures", elem_id=f"{TAB}_count")
    return [prompt, negative, checkpoint, width, height, steps, cfg, seed, count]


def _drawn() -> list[Any]:
    """Return the components that show what is drawn: button, stop, state, gallery, texts."""
    with gr.Row(elem_classes=["faceid-buttons"]):
        generate = gr.Button("Generate", variant="primary", elem_id=f"{TAB}_generate")
        stop = gr.Button("Stop", elem_id=f"{TAB}_interrupt")
    state = gr.HTML(elem_id="faceid_state")
    gallery = gr.Gallery(label="Pictures", columns=2, object_fit="contain", height=420, elem_id=f"{TAB}_gallery")
    texts = gr.HTML(elem_id=f"html_info_{TAB}")
    return [generate, stop, state, gallery, texts]


def _wire(easel: Easel, loaded: dict[str, str], inputs: Sequence[Any], drawn: Sequence[Any]) -> None:
    generate, stop, state, gallery, texts = drawn
    is_stopped = {"now": False}

    def painted(*args: Any, progress: gr.Progress = gr.Progress()) -> Any:  # noqa: B008 - gradio's way to ask for one
        is_stopped["now"] = False

        def report(what: str, step: int, steps: int) -> None:
            if is_stopped["now"]:
                raise FaceIDError("Stopped. Pictures that are finished are kept.")
            progress((step, steps), desc=what, unit="steps")

        images: list[Any] = []
        told = ""
        yield "", images, told
        try:
            for one in easel.paint(*_request(args), report):
                images.append(one.image)
                told = _told(one.applied, one.parameters)
                yield "", images, told
        except Exception as error:  # noqa: BLE001 - whatever it is, it is said in the page
            yield notice(problem(error), "error"), images, told

    def changed(name: str) -> None:
        loaded["name"] = name

    generate.click(painted, list(inputs), [state, gallery, texts])
    stop.click(lambda: is_stopped.update(now=True), None, None, **QUICK)
    inputs[2].change(changed, [inputs[2]], None, **QUICK)


def _request(args: Sequence[Any]) -> tuple[str, Any, Request, int]:
    """Return what `Easel.paint` takes from the page's values. Raises UnitError."""
    prompt, negative, checkpoint, width, height, steps, cfg, seed, count = args[:9]
    seed = secrets.randbelow(2**32) if seed is None or seed < 0 else int(seed)
    request = Request(prompt, negative, (int(width), int(height)), int(steps), float(cfg), seed)
    return checkpoint, units_from_args(args[9:]), request, int(count)


def _told(applied: Sequence[str], parameters: str) -> str:
    lines = "".join(f"<li>{escape(line)}</li>" for line in applied) or "<li>No unit is on.</li>"
    return f'<ul class="faceid-applied">{lines}</ul><pre class="faceid-parameters">{escape(parameters)}</pre>'
