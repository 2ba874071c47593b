"""What a row of the matrix is, and in which WebUI it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.webui.beside.asked import EXTENSIONS, Asked, Named

__all__ = ["BESIDE", "FP8", "HIRES", "LEFT", "LONG", "OTHERWISE", "PHOTO", "STARTS", "WIDER", "Row", "Start"]


@dataclass(frozen=True)
class Start:
    """A WebUI, started once for all rows that name it."""

    ours: str = "sd-webui-faceid"
    """What our folder is called: the WebUI loads extensions by the order of their names."""
    beside: bool = True
    """Every neighbour that is here is installed, used or not."""
    arguments: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    """Settings that stand from the start."""


@dataclass(frozen=True)
class Row:
    """One job beside one neighbour, and what has to come of it."""

    neighbour: str
    job: str
    theirs: Asked = field(default_factory=dict)
    """What switches the neighbour on, in the request's scripts."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What switches it on among the WebUI's settings, for the job."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings under which all jobs of the row run, the plain one too. There is nobody else to act then."""
    request: Mapping[str, Any] = field(default_factory=dict)
    unit: Mapping[str, Any] = field(default_factory=dict)
    family: str = "sd15"
    partner: str = "lora"
    """The field for the strength of what acts together with our adapter."""
    start: str = "beside"
    fails: str = ""
    """The neighbour fails without us, in these words, and so it does beside us."""
    says: str = ""
    """What has to stand in the log when both act."""
    same_as: tuple[str, ...] = ()
    """The row whose picture this one must draw when both act; of several each has drawn one image of the batch."""
    within: int = 1
    """How far the two pictures may be apart, for any channel of any pixel."""
    side: str = ""
    """Where the person has to act: what changes in that quarter is far more than in the opposite one."""
    times: float = 2.4
    """How many times more."""
    note: str = ""

    @property
    def name(self) -> str:
        return f"{self.neighbour}, {self.job}" if self.job else self.neighbour

    @property
    def needs(self) -> tuple[str, ...]:
        """The extensions' folders."""
        return tuple(EXTENSIONS[title] for title in self.theirs)

    @property
    def somebody_acts(self) -> bool:
        """Whether there is something that the request switches on."""
        return bool(self.theirs or self.options)


BESIDE, OTHERWISE, FP8 = "beside", "called otherwise", "FP8 weights"
STARTS = {
    BESIDE: Start(),
    OTHERWISE: Start(ours="0-faceid-main"),  # no order of callbacks, and loaded before everybody else
    FP8: Start(beside=False, config={"fp8_storage": "Enable"}),
    **{
        flag: Start(beside=False, arguments=(flag,))
        for flag in ("--medvram", "--lowvram", "--medvram-sdxl", "--upcast-sampling")
    },
}

HIRES = {
    "enable_hr": True, "hr_resize_x": 128, "hr_resize_y": 128, "hr_upscaler": "Latent", "denoising_strength": 0.7,
    "width": 96, "height": 96,
}  # fmt: skip
LONG = "ugly, blurry, " * 30
"""Two chunks of 75 tokens, as two prompts divided by BREAK are."""
WIDER: dict[str, Any] = {"width": 256, "steps": 1}
"""One step: the UNet itself carries far what it is given in one place."""
LEFT: dict[str, Any] = {"region": "box 0 0 0.25 1", "feather": 0}
PHOTO: dict[str, Any] = {"init_images": [Named("two people")], "denoising_strength": 0.5, "width": 256}
