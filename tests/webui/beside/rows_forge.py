"""What is built into Forge and its descendants and reaches the UNet, and Forge Couple, which is made for them."""

from __future__ import annotations

from tests.webui.beside.row import HIRES, Row

__all__ = ["COUPLE", "FORGE_ROWS"]

COUPLE = "Forge Couple"
_FREEU = "FreeU Integrated (SD 1.x, SD 2.x, SDXL)"
_SAG = "SelfAttentionGuidance Integrated (SD 1.x, SD 2.x, SDXL)"
_COUPLE = [True, True, "Basic", "", "Horizontal", "None", 0.5, [], "off", False]
_LINES = "a person\na red house"

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
    Row(COUPLE, "", {COUPLE: {"args": _COUPLE}}, request={"prompt": _LINES}),
    Row(COUPLE, "batch 2", {COUPLE: {"args": _COUPLE}}, request={"prompt": _LINES, "batch_size": 2}),
    Row(COUPLE, "hires fix", {COUPLE: {"args": [True, False, *_COUPLE[2:]]}}, request={"prompt": _LINES, **HIRES}),
)  # fmt: skip
