"""What is built into Forge and its descendants and reaches the UNet, and Forge Couple, which is made for them."""

from __future__ import annotations

from typing import Any

from tests.webui.beside.asked import Asked, Named
from tests.webui.beside.row import HIRES, Row

__all__ = ["COUPLE", "FORGE_ROWS"]

COUPLE = "Forge Couple"
_FREEU = "FreeU Integrated (SD 1.x, SD 2.x, SDXL)"
_SAG = "SelfAttentionGuidance Integrated (SD 1.x, SD 2.x, SDXL)"
_COUPLE = [True, True, "Basic", "", "Horizontal", "None", 0.5, [], "off", False]
_LINES = "a person\na red house"
_PAIR = {**HIRES, "batch_size": 2}
_NET = {"model": Named("mini_control_sd15"), "image": Named("edges")}
_T2I = {"model": Named("mini_t2iadapter_sd15"), "image": Named("edges")}
_IMAGE = {"model": Named("mini_ip-adapter_sd15"), "module": "played image", "image": Named("edges")}


def _controlnet(*units: dict[str, Any]) -> Asked:
    return {"ControlNet": {"args": [{"enabled": True, "module": "None", "weight": 1.0, **one} for one in units]}}


FORGE_ROWS = (
    Row("MultiDiffusion", "", {"MultiDiffusion Integrated": {"args": [True, "MultiDiffusion", 96, 96, 48, 4]}}),
    Row("MultiDiffusion", "Mixture of Diffusers", {"MultiDiffusion Integrated": {
        "args": [True, "Mixture of Diffusers", 96, 96, 48, 1]}}),
    Row("MultiDiffusion", "hires fix", {"MultiDiffusion Integrated": {
        "args": [True, "MultiDiffusion", 96, 96, 48, 4]}}, request=HIRES),
    Row("Self-attention guidance", "", {_SAG: {"args": [True, 0.5, 2.0, 1.0]}}),
    Row("Self-attention guidance", "batch 2", {_SAG: {"args": [True, 0.5, 2.0, 1.0]}}, request={"batch_size": 2}),
    Row("Perturbed attention guidance", "", {"PerturbedAttentionGuidance Integrated": {"args": [True, 3.0, 0.0]}}),
    Row("FreeU", "", {_FREEU: {"args": [True, 1.2, 1.4, 0.9, 0.5]}}),
    Row("Kohya HRFix", "", {"Kohya HRFix Integrated": {
        "args": [True, 3, 2.0, 0.0, 0.6, True, "bicubic", "bicubic"]}}),
    Row("Dynamic thresholding", "", {"DynamicThresholding (CFG-Fix) Integrated": {
        "args": [True, 7.0, 0.9, "Constant", 0.0, "Constant", 0.0, 4.0, "enable", "MEAN", "AD", 1.0]}}),
    Row("StyleAlign", "batch 2", {"StyleAlign Integrated": {"args": [True, 1.0]}}, request={"batch_size": 2}),
    Row("Never OOM", "", {"Never OOM Integrated": {"args": [True, False]}}, note="draws the same picture"),
    Row("ControlNet", "", _controlnet(_NET)),
    Row("ControlNet", "hires fix, batch 2", _controlnet(_NET), request=_PAIR),
    Row("ControlNet", "T2I-Adapter", _controlnet(_T2I)),
    Row("ControlNet", "IP-Adapter", _controlnet(_IMAGE)),
    Row("ControlNet", "IP-Adapter, hires fix, batch 2", _controlnet(_IMAGE), request=_PAIR),
    Row("ControlNet", "all three", _controlnet(_NET, _T2I, _IMAGE)),
    Row(COUPLE, "", {COUPLE: {"args": _COUPLE}}, request={"prompt": _LINES}),
    Row(COUPLE, "batch 2", {COUPLE: {"args": _COUPLE}}, request={"prompt": _LINES, "batch_size": 2}),
    Row(COUPLE, "hires fix", {COUPLE: {"args": [True, False, *_COUPLE[2:]]}}, request={"prompt": _LINES, **HIRES}),
)  # fmt: skip
