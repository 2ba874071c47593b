"""ControlNets and T2I-Adapters on our own page: a row for each, with what it is shown.

In a WebUI its own extension has them. When the page is loaded again, the rows come back without their pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import gradio as gr

from lib_faceid.arguments import as_number, one_of
from lib_faceid.errors import UnitError
from lib_faceid.ui.dropped import drop_zone
from lib_faceid.ui.parts import QUICK, notice
from lib_faceid.ui.paste import InfotextField
from lib_faceid.ui.traces import Received
from lib_faceid.units.control import HINTS, LIMITS, MAX_STRENGTH, ControlUnit, control_from_infotext

__all__ = ["NUM_VALUES", "ControlRows", "build_control", "control_fields", "controls_from_page"]

ROWS = 2
ORDER = ("net", "hint", "picture", "strength", "start", "end")
NUM_VALUES = ROWS * len(ORDER)
NO_NET = "None"
WHERE = "Its file, or a T2I-Adapter's, lies in models/ControlNet. Only those of the checkpoint's base model fit."
FOLLOWS = (
    "picture: it as it is, made ready for the net; edges: those in it; keypoints and head: the faces in it, or "
    "without a picture those in your people's photos."
)
PICTURE_GONE = "Control {}: its picture is not kept when the page is loaded again. Choose it once more."
NO_NET_IS_CHOSEN = "Control {}: there is a picture, and no ControlNet is chosen. Choose one, or take the picture away."


class ControlRows(NamedTuple):
    """The rows on the page."""

    components: list[Any]
    """Of all rows, in ORDER."""
    gone: Any
    """What says which pictures are gone after a reload."""
    nets: Callable[[], Collection[str]]
    """Gives the names of what can be chosen."""

    @property
    def pictures(self) -> list[Any]:
        """The pictures, which no browser keeps."""
        return self.components[ORDER.index("picture") :: len(ORDER)]

    def kept(self) -> list[tuple[Any, Callable[[Any], object]]]:
        """Return the components that a browser keeps, each with what raises for a value that cannot stand in it."""
        named = zip(self.components, ORDER * ROWS, strict=True)
        return [(component, self._check(name)) for component, name in named if name != "picture"]

    def said(self, found: Mapping[str, Any], values: Mapping[str, Any]) -> str:
        """Return in HTML whose picture is gone. found: values by the ids of components; values: what was kept."""
        rows = enumerate(zip(self.components[:: len(ORDER)], self.pictures, strict=True))
        gone = [
            PICTURE_GONE.format(number)
            for number, (net, picture) in rows
            if values.get(picture.elem_id) is True and found[net.elem_id] != NO_NET
        ]
        return "".join(notice(one, "warning") for one in gone)

    def _check(self, name: str) -> Callable[[Any], object]:
        if name == "net":
            return lambda value: one_of(value, name, (NO_NET, *self.nets()))
        if name == "hint":
            return lambda value: one_of(value, name, HINTS)
        return lambda value: as_number(value, name, 0, LIMITS[name])


def build_control(nets: Callable[[], Collection[str]]) -> ControlRows:
    """Return the rows, made where gradio stands right now. nets: gives their names."""
    gone = gr.HTML("", elem_id="faceid_control_gone")
    with gr.Accordion("ControlNet", open=False, elem_id="faceid_control"):
        names = nets()
        rows = ControlRows([one for number in range(ROWS) for one in _row(number, names)], gone, nets)
    for picture in rows.pictures:
        picture.change(lambda: "", None, [gone], **QUICK)
    return rows


def controls_from_page(values: Sequence[Any]) -> list[ControlUnit]:
    """Return the control units of the rows' values; a row without a net is off. Raises UnitError, naming the row."""
    found: list[ControlUnit] = []
    for number in range(ROWS):
        row = dict(zip(ORDER, values[number * len(ORDER) :], strict=False))
        picture = row["picture"]
        row["picture"] = picture.content if isinstance(picture, Received) else picture
        if row["net"] in (None, "", NO_NET):
            if picture is not None:
                raise UnitError(NO_NET_IS_CHOSEN.format(number))
            continue
        try:
            found.append(ControlUnit(**row))
        except UnitError as error:
            raise UnitError(f"Control {number}: {error}") from error
    return found


def control_fields(components: Sequence[Any], nets: Callable[[], Collection[str]]) -> list[InfotextField]:
    """Return what fills in the rows from a picture's settings; the pictures that were followed are not in these."""

    def told(params: Mapping[str, Any], number: int, name: str) -> Any:
        found = control_from_infotext(params, number)
        if name != "net":
            return found.get(name)
        here = found.get("net") in nets()
        return found["net"] if here else NO_NET if params else None

    names = [(number, name) for number in range(ROWS) for name in ORDER]
    return [
        (component, partial(told, number=number, name=name))
        for component, (number, name) in zip(components, names, strict=True)
        if name != "picture"
    ]


def _row(number: int, nets: Collection[str]) -> list[Any]:
    """Return the components of one row, in ORDER."""
    prefix = f"faceid_control_{number}"
    with gr.Row():
        with gr.Column(scale=2, min_width=200):
            net = gr.Dropdown([NO_NET, *nets], value=NO_NET, label="ControlNet", info=WHERE, elem_id=f"{prefix}_net")
            hint = gr.Dropdown(
                list(HINTS), value=HINTS[0], label="What it follows", info=FOLLOWS, elem_id=f"{prefix}_hint"
            )
        with gr.Column(scale=1, min_width=160):
            picture = drop_zone(label="Picture to follow", height=200, elem_id=f"{prefix}_picture")
    with gr.Row():
        strength = gr.Slider(0, MAX_STRENGTH, 1.0, step=0.05, label="Control strength", elem_id=f"{prefix}_strength")
        start = gr.Slider(0, 1, 0.0, step=0.05, label="Control start", elem_id=f"{prefix}_start")
        end = gr.Slider(0, 1, 1.0, step=0.05, label="Control end", elem_id=f"{prefix}_end")
    return [net, hint, picture, strength, start, end]
