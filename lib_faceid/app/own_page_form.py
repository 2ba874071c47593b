"""The form of our own page after a reload: the browser keeps its values for as long as its tab is open, and no photo.

Each value is kept by the browser alone, when it changes, and asked of nobody. It comes back with the page's first
request, where it counts as anybody's request does: what cannot stand in a field leaves that field as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import gradio as gr

from lib_faceid.app.own_page_control import ControlRows
from lib_faceid.errors import FaceIDError
from lib_faceid.hosts.diffusers.request import LEAST_PX, Request
from lib_faceid.ui.parts import QUICK, notice, script
from lib_faceid.ui.units import Units
from lib_faceid.ui.words import WORDS
from lib_faceid.units.job_options import OPTIONS
from lib_faceid.units.region import MASK
from lib_faceid.units.unit import FIELDS, PICTURES, Field, Purpose, Range

__all__ = ["ANY_SEED", "MAX_COUNT", "read_form", "wire_form"]

MASK_GONE = "The mask is not kept when the page is loaded again: draw it once more under Region."
OF_PHOTOS = (*PICTURES, "face")
"""The fields that are pictures, or that mean nothing without them."""
MAX_COUNT = 8
ANY_SEED = -1
# Nothing is kept until what was kept is back: the page's own first values would take its place.
LISTEN = """() => {
    window.faceidKeep = (name, value) => {
        try {
            sessionStorage.setItem(`faceid:${name}`, JSON.stringify(value));
        } catch { /* a browser may forbid it */ }
    };
    return [];
}"""
KEPT = """() => {
    try {
        const ours = Object.entries(sessionStorage).filter(([name]) => name.startsWith("faceid:"));
        return [JSON.stringify(Object.fromEntries(ours.map(([name, text]) => [name.slice(7), text])))];
    } catch {
        return ["{}"];
    }
}"""
KEEP = '(value) => { window.faceidKeep?.("%s", %s); return []; }'


@dataclass(frozen=True, eq=False)
class _Kept:
    """A component whose value is kept under its id."""

    component: Any
    check: Callable[[Any], object]
    """Raises for a value that cannot stand in it."""

    def value(self, values: Mapping[str, Any]) -> Any:
        """Return what was kept of it, or else what it begins with."""
        try:
            value = values[self.component.elem_id]
            self.check(value)
        except (FaceIDError, KeyError, TypeError):
            return self.component.value
        return value

    def update(self, found: Mapping[str, Any]) -> Any:
        """Return its update to what was found; none where that is there already, or gradio 4 would call it a change."""
        value = found[self.component.elem_id]
        return gr.update() if value == self.component.value else gr.update(value=value)


def wire_form(
    page: Any, asked: Sequence[Any], units: Units, checkpoints: Callable[[], Iterable[str]], control: ControlRows
) -> Any:
    """Let the browser keep what changes, and a page that opens begin with it; return the event after which it has.

    asked: the components of the request.
    """
    hidden = gr.Textbox("", label="What the browser kept", elem_id="faceid_form", elem_classes=["faceid-hidden"])
    of_control = [_Kept(*one) for one in control.kept()]
    kept = [*_of_request(asked, checkpoints), *of_control, *_of_units(units), *_of_options(units)]
    for one in kept:
        one.component.change(None, [one.component], None, **script(KEEP % (one.component.elem_id, "value")), **QUICK)
    for one in (*units.who[2::3], *control.pictures):  # of a picture only that there is one
        one.change(None, [one], None, **script(KEEP % (one.elem_id, "Boolean(value)")), **QUICK)
    lacking = [unit.who.missing for unit in units.parts]

    def opened(text: str) -> list[Any]:
        values = read_form(text)
        found = {one.component.elem_id: one.value(values) for one in kept}
        said = [_said(found, values, number, units) for number in range(len(lacking))]
        return [*(one.update(found) for one in kept), *said, control.said(found, values)]

    outputs = [*(one.component for one in kept), *lacking, control.gone]
    event = page.load(opened, [hidden], outputs, **script(KEPT), **QUICK)
    event.then(None, None, None, **script(LISTEN), **QUICK)
    return event


def read_form(text: str) -> dict[str, Any]:
    """Return id of a component -> its value, of JSON with the JSON of each; nothing for what cannot be read."""
    values: dict[str, Any] = {}
    held = _parsed(text)
    for name, value in held.items() if isinstance(held, dict) else ():
        if isinstance(value, str) and (read := _parsed(value)) is not None:
            values[name] = read
    return values


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _said(found: dict[str, Any], values: Mapping[str, Any], number: int, units: Units) -> str:
    """Return what a unit lacks now, in HTML. One that has lost all that it drew is switched off."""
    who, region = units.parts[number].who, units.parts[number].region
    sentences = []
    if values.get(units.who[3 * number + 2].elem_id) is True and not found[who.person.elem_id]:
        found[who.enabled.elem_id] = False
        sentences.append(WORDS[cast("Purpose", found[who.purpose.elem_id])].gone)
    if found[region.elem_id] == MASK:
        sentences.append(MASK_GONE)
    return "".join(notice(one, "warning") for one in sentences)


def _of_request(components: Sequence[Any], checkpoints: Callable[[], Iterable[str]]) -> list[_Kept]:
    """Return the request's components, in their order, each with what a request allows."""

    def is_here(name: Any) -> None:
        if name not in set(checkpoints()):
            raise KeyError(name)

    checks: list[Callable[[Any], object]] = [
        Request,
        lambda value: Request("", value),
        is_here,
        lambda value: Request("", size_px=(value, LEAST_PX)),
        lambda value: Request("", size_px=(LEAST_PX, value)),
        lambda value: Request("", steps=value),
        lambda value: Request("", cfg=value),
        lambda value: Request("", seed=0 if value == ANY_SEED else value),
        Field("count", 1, "Pictures", "", Range(1, MAX_COUNT, 1)).check,
    ]
    return [_Kept(*one) for one in zip(components, checks, strict=True)]


def _of_units(units: Units) -> list[_Kept]:
    """Return the components of all units' fields that are no pictures."""
    fields = [*FIELDS.values()]
    pairs = [(component, fields[at % len(fields)]) for at, component in enumerate(units.components)]
    return [_Kept(component, field.check) for component, field in pairs if field.name not in OF_PHOTOS]


def _of_options(units: Units) -> list[_Kept]:
    return [_Kept(component, field.check) for component, field in zip(units.options, OPTIONS.values(), strict=True)]
