"""A step of a WebUI's job with people in its prompts, its text side played: AUTOMATIC1111, or Forge."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from played_text import End, Prompts, play_text
from played_webui import play_webui
from torch import Tensor

from lib_faceid.effects.schedule import Schedule
from lib_faceid.effects.text import Person, Text, Writing

__all__ = ["WIDTHS", "WebUI", "person", "play_a1111", "play_forge", "written"]

WIDTHS = 5, 3
ON = Schedule(weight=1.0)


class Weights:
    """What is written is told by its last numbers: 1000 and whose it is."""

    name = "played"

    def fused(self, rows: Tensor, ids: Tensor) -> Tensor:
        return torch.cat([rows[:, :-1], 1000 + ids[:, -1:]], dim=1)


@dataclass(frozen=True)
class Source:
    key: int
    rows: int = 2

    def encode(self) -> Tensor:
        return torch.full((self.rows, sum(WIDTHS)), float(self.key))


def person(*keys: int, rows: int = 2, schedule: Schedule | None = ON) -> Person:
    return Person(Text(Weights(), [Source(key, rows) for key in keys], "img"), schedule)


class WebUI:
    """A job of the played WebUI, and its steps."""

    def __init__(self, package: Any, model: Any, patcher: Any = None) -> None:
        self.package, self.model, self.patcher = package, model, patcher
        self.said: dict[str, int] = {}

    def _written(self, p: Any, writing: Writing, params: Any) -> Any:
        if self.patcher is not None:
            return import_module("lib_faceid.hosts.forge.texts").written(p, writing, params)
        rows = import_module("lib_faceid.hosts.a1111.rows")
        images = rows.row_images(p, len(params.text_cond["crossattn"]), is_cond=True)
        return import_module("lib_faceid.hosts.a1111.texts").written(p, writing, params, images)

    def conds(self, prompts: list[str], steps: int, hires: int | None = None) -> Any:
        parser, batch = self.package.prompt_parser, []
        for prompt in prompts:
            ((indexes,), texts, _) = parser.get_multicond_prompt_list(Prompts([prompt]))
            schedules = parser.get_learned_conditioning_prompt_schedules([texts[i] for i, _ in indexes], steps, hires)
            batch.append([SimpleNamespace(schedules=[End(end, text) for end, text in one]) for one in schedules])
        return SimpleNamespace(batch=batch)

    def step(
        self,
        prompts: list[str],
        writing: Writing,
        at: int = 0,
        *,
        negative: str = "",
        is_hires: bool = False,
        is_shuffled: bool = False,
    ) -> tuple[Any, Any]:
        """Give the conditioning of a step as it was, and as it is written, with everybody in the steps that are his."""
        steps = 4
        p = SimpleNamespace(
            prompts=prompts, negative_prompts=[negative], hr_prompts=prompts, hr_negative_prompts=[negative],
            c=self.conds(prompts, steps), hr_c=self.conds(prompts, steps, 6), firstpass_steps=steps, steps=steps,
            width=64, height=32, hr_upscale_to_x=128, hr_upscale_to_y=64, hr_second_pass_steps=6,
            hr_sampler_name=None, sampler_name="x", batch_size=len(prompts), is_hr_pass=is_hires, comments=self.said,
            comment=lambda text: self.said.update({text: 1}),
        )  # fmt: skip
        texts = [
            next(one.cond for one in part.schedules if at <= one.end_at_step)
            for parts in (p.hr_c if is_hires else p.c).batch
            for part in parts
        ]
        size = (128, 64) if is_hires else (64, 32)
        rows = [self.model.get_learned_conditioning(Prompts([text], *size)) for text in texts]
        longest = max(len(row["crossattn"][0]) for row in rows)
        padded = [
            torch.cat([found := row["crossattn"][0], found[-1:].expand(longest - len(found), -1)]) for row in rows
        ]
        cond = {"crossattn": torch.stack(padded), "vector": torch.cat([row["vector"] for row in rows])}
        self.model.asked.clear()
        if self.patcher is not None:
            self.patcher.loaded.clear()
        latents = torch.arange(len(prompts)).float().repeat_interleave(len(texts) // len(prompts))
        latents = latents.roll(1) if is_shuffled else latents
        x = torch.cat([latents, torch.arange(len(prompts)).float()])[:, None, None, None]
        x = x if self.patcher is None else x[len(latents) :]  # Forge repeats its latents later
        params = SimpleNamespace(text_cond=cond, denoiser=SimpleNamespace(step=at), x=x)
        writing.set_progress(at / steps, 1 / steps)
        return cond, self._written(p, writing, params)


class Patcher:
    """Forge's of the pass, and what is on the GPU: the text encoders push the UNet off."""

    def __init__(self) -> None:
        self.model_options: dict[str, Any] = {}
        self.extra_model_patchers_during_sampling = ["a ControlNet"]
        self.controlnet_linked_list = SimpleNamespace(get_models=lambda: ["a ControlNet"])
        self.loaded: list[Any] = []

    def memory_required(self, shape: list[int]) -> int:
        return shape[0]

    def load_models_gpu(self, models: list[Any], memory_required: int) -> None:
        self.loaded.append((len(models), memory_required))


def play_a1111(monkeypatch: pytest.MonkeyPatch) -> WebUI:
    package = play_webui(monkeypatch)
    return WebUI(package, play_text(package, WIDTHS))


def play_forge(monkeypatch: pytest.MonkeyPatch, *, has_engines: bool = True, widths: tuple[int, int] = WIDTHS) -> WebUI:
    """has_engines: as it has today; without, the text encoders of early 2024, which are AUTOMATIC1111's."""
    package = play_webui(monkeypatch)
    model, patcher = play_text(package, widths, is_forge=has_engines), Patcher()
    model.forge_objects = SimpleNamespace(unet=patcher)
    monkeypatch.setitem(sys.modules, "backend.memory_management", cast("Any", patcher))
    return WebUI(package, model, patcher)


def written(cond: Any, row: int = 0) -> list[tuple[int, int]]:
    """Where somebody is written in a row, and who."""
    last = cond["crossattn"][row, :, -1]
    return [(at, int(value) - 1000) for at, value in enumerate(last.tolist()) if value >= 1000]
