"""One row of the matrix, measured: who changes the picture beside whom, and what is left when both are off."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.webui.beside.asked import Named
from tests.webui.beside.row import Row
from tests.webui.server import CONFIG, TITLE, Answer, Server

__all__ = ["FAMILIES", "Bench", "Measured", "away_from", "trouble"]

FAMILIES = {
    "sd15": ("mini_sd15.safetensors", "ip-adapter-faceid_sd15"),
    "sdxl": ("mini_sdxl.safetensors", "ip-adapter-faceid_sdxl"),
    "instantid": ("mini_sdxl.safetensors", "ip-adapter_instant_id_sdxl"),
    "wide": ("wide_sd15.safetensors", "ip-adapter-faceid-wide_sd15"),
}
QUICK = {
    "prompt": "a person", "seed": 7, "steps": 3, "width": 128, "height": 128, "cfg_scale": 5, "sampler_name": "Euler",
}  # fmt: skip
TROUBLE = ("Traceback", "***", "Error", "NansException")


@dataclass(frozen=True)
class Measured:
    """What came of a row. Differences are means over pixels and channels, 0 to 255; None where nobody else acts."""

    ours: float
    theirs: float | None
    partner: float
    restored: bool
    trouble: tuple[str, ...]
    """Lines of the log."""
    picture: NDArray[np.uint8]
    """[N, H, W, 3], drawn by both."""
    change: NDArray[np.float64]
    """[H, W]: where we changed it."""
    log: str


@dataclass
class Bench:
    """A started WebUI, and what was drawn in it so far."""

    server: Server
    person: dict[str, Any]
    pictures: Mapping[str, str]
    complaints: tuple[str, ...] = ()
    """What its log said of errors while it started."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Those that do not stand at their defaults now."""
    said: str = ""
    """What the WebUI said to them."""
    drawn: dict[str, Answer] = field(default_factory=dict)
    """Jobs without neighbours, which many rows begin with."""

    def measure(self, row: Row) -> Measured:
        """Run the row's jobs: plain, ours, theirs, both, with our LoRA or net, and the plain one again."""
        self._under(row.settings)
        unit, off = {row.partner: 0.0}, replace(row, theirs={}, options={})
        plain, ours = self._remembered(off, None), self._remembered(off, unit)
        theirs = self.draw(row, None) if row.somebody_acts else plain
        both = self.draw(row, unit) if row.somebody_acts else ours
        with_partner, again = self.draw(row, {row.partner: 1.0}), self.draw(off, None)
        jobs = plain, ours, theirs, both, with_partner, again
        picture, count = _stack(both, len(plain.images)), len(plain.images)
        return Measured(
            ours=away_from(picture, _stack(theirs, count)),
            theirs=away_from(picture, _stack(ours, count)) if row.somebody_acts else None,
            partner=away_from(picture, _stack(with_partner, count)),
            restored=plain.png == again.png,
            trouble=tuple(line for one in jobs for line in trouble(one.log)),
            picture=picture,
            change=np.abs(picture.astype(float) - _stack(theirs, count)).mean(axis=(0, 3)),
            log=self.said + both.log,
        )

    def fails(self, row: Row) -> tuple[str, str, bool]:
        """What a neighbour that fails says alone, what is said when we act too, and whether nothing is left of it."""
        off = replace(row, theirs={}, options={})
        plain = self._remembered(off, None)
        said = [self.draw(row, unit) for unit in (None, {row.partner: 0.0})]
        alone, both = (json.dumps(one.body) + one.log if one.status != 200 else "" for one in said)
        return alone, both, plain.png == self.draw(off, None).png

    def _under(self, settings: Mapping[str, Any]) -> None:
        """Put the WebUI's settings as they shall be, and all others back."""
        if self.settings == settings:
            return
        changed = {name: CONFIG[name] for name in self.settings} | dict(settings)
        self.settings, self.said = dict(settings), self.server.post("/sdapi/v1/options", changed).log

    def _remembered(self, row: Row, unit: Mapping[str, Any] | None) -> Answer:
        name = repr((row.family, row.request, row.settings, row.unit if unit else "", unit))
        if name not in self.drawn:
            self.drawn[name] = self.draw(row, unit)
        return self.drawn[name]

    def draw(self, row: Row, unit: Mapping[str, Any] | None) -> Answer:
        """Draw the row's job, with a unit or without."""
        checkpoint, adapter = FAMILIES[row.family]
        whole = {**self.person, "adapter": adapter, **row.unit, **(unit or {})}
        units = [{name: value for name, value in whole.items() if value is not None}] if unit else []
        job = {
            **QUICK,
            **self.server.for_hires(dict(row.request)),
            "override_settings": {**row.options, "sd_model_checkpoint": checkpoint},
            "alwayson_scripts": {**({TITLE: {"args": units}} if units else {}), **row.theirs},
        }
        if "init_images" not in job:
            return self.server.post("/sdapi/v1/txt2img", self._filled(job))
        # The WebUI encodes the picture with the random state that the job before left: it shall always be the same.
        before = {**QUICK, "width": 64, "height": 64, "steps": 1, "override_settings": job["override_settings"]}
        self.server.post("/sdapi/v1/txt2img", before)
        return self.server.post("/sdapi/v1/img2img", self._filled(job))

    def _filled(self, value: Any) -> Any:
        """The value with the pictures that are named in it."""
        if isinstance(value, Named):
            return self.pictures[value]
        if isinstance(value, Mapping):
            return {key: self._filled(one) for key, one in value.items()}
        return [self._filled(one) for one in value] if isinstance(value, (list, tuple)) else value


def away_from(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """How far two stacks of pictures are apart, on average; infinitely where their sizes differ."""
    if one.shape != other.shape:
        return float("inf")
    return float(np.abs(one.astype(float) - other).mean())


def trouble(log: str) -> list[str]:
    """The lines that speak of errors."""
    return [line.strip()[:300] for line in log.splitlines() if any(word in line for word in TROUBLE)]


def _stack(answer: Answer, count: int) -> NDArray[np.uint8]:
    """The job's pictures as [N, H, W, 3], without those that an extension adds behind them."""
    return np.stack(answer.images[:count])
