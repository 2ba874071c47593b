"""Rows of the matrix: sd-webui-controlnet, with a ControlNet, a T2I-Adapter and an IP-Adapter FaceID of its own."""

from __future__ import annotations

from typing import Any

from tests.webui.beside.asked import Named, controlnet
from tests.webui.beside.row import HIRES, LEFT, LONG, PHOTO, WIDER, Row

__all__ = ["CONTROL", "CONTROLNET", "FACEID", "T2I"]

CONTROL: dict[str, Any] = {"model": "mini_control_sd15", "image": Named("edges")}
T2I: dict[str, Any] = {"model": "mini_t2iadapter_sd15", "image": Named("edges")}
FACEID: dict[str, Any] = {
    "model": "ip-adapter-faceid_sd15",
    "module": "ip-adapter_face_id",
    "ipadapter_input": [Named("face vector")],
}
NET = "net_weight"
PAIR = {**HIRES, "batch_size": 2}


def sdxl(unit: dict[str, Any]) -> dict[str, Any]:
    """The same, for SDXL."""
    return {**unit, "model": unit["model"].replace("sd15", "sdxl")}


CONTROLNET = (
    Row("sd-webui-controlnet", "ControlNet", controlnet(CONTROL)),
    Row(
        "sd-webui-controlnet",
        "ControlNet, cond and uncond apart",
        controlnet(CONTROL),
        request={"negative_prompt": LONG},
    ),
    Row("sd-webui-controlnet", "ControlNet, hires fix, batch 2", controlnet(CONTROL), request=PAIR),
    Row("sd-webui-controlnet", "ControlNet, img2img", controlnet(CONTROL), request=PHOTO),
    Row(
        "sd-webui-controlnet",
        "ControlNet, prompt is more important",
        controlnet({**CONTROL, "control_mode": "My prompt is more important"}),
    ),
    Row("sd-webui-controlnet", "ControlNet, SDXL", controlnet(sdxl(CONTROL)), family="sdxl"),
    Row("sd-webui-controlnet", "T2I-Adapter", controlnet(T2I)),
    Row("sd-webui-controlnet", "T2I-Adapter, hires fix, batch 2", controlnet(T2I), request=PAIR),
    Row("sd-webui-controlnet", "its own FaceID", controlnet(FACEID)),
    Row("sd-webui-controlnet", "its own FaceID, hires fix, batch 2", controlnet(FACEID), request=PAIR),
    Row("sd-webui-controlnet", "its own FaceID, SDXL", controlnet(sdxl(FACEID)), family="sdxl"),
    Row(
        "sd-webui-controlnet",
        "all three, a unit's region",
        controlnet(CONTROL, T2I, FACEID),
        request=WIDER,
        unit=LEFT,
        side="left",
    ),
    Row("sd-webui-controlnet", "ControlNet, IdentityNet", controlnet(sdxl(CONTROL)), family="instantid", partner=NET),
    Row(
        "sd-webui-controlnet",
        "ControlNet, IdentityNet, hires fix, batch 2",
        controlnet(sdxl(CONTROL)),
        request=PAIR,
        family="instantid",
        partner=NET,
    ),
)
