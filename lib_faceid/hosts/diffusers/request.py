"""What a picture is asked for with. Any host without a page of its own takes this."""

from __future__ import annotations

from dataclasses import dataclass

from lib_faceid.arguments import as_number, require
from lib_faceid.errors import UnitError

__all__ = ["LARGEST_SEED", "LEAST_PX", "MAX_CFG", "MAX_STEPS", "Request", "check_size"]

LARGEST_SEED = 2**64 - 1  # torch's
MAX_STEPS = 1000  # as many as a checkpoint was trained with
MAX_CFG = 100
LEAST_PX, MOST_PX, MOST_PIXELS = 64, 8192, 4096 * 4096


@dataclass(frozen=True)
class Request:
    """A picture to draw; the person comes on top of it. Raises UnitError for a number that cannot be."""

    prompt: str
    negative: str = ""
    size_px: tuple[int, int] | None = None
    """Width and height, multiples of 8; None is what the checkpoint's family was trained on."""
    steps: int = 25
    cfg: float = 7.0
    """How strictly the prompt is followed; up to 1 there is no negative side, and half the work."""
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.prompt, "prompt", str, "a text")
        require(self.negative, "negative", str, "a text")
        _whole(self.steps, "steps", 1, MAX_STEPS)
        _whole(self.seed, "seed", 0, LARGEST_SEED)
        as_number(self.cfg, "cfg", 0, MAX_CFG)
        if self.size_px is not None and (problem := check_size(*self.size_px)):
            raise UnitError(f"size is {self.size_px[0]}x{self.size_px[1]}: {problem}.")


def check_size(width_px: int, height_px: int) -> str:
    """Return what is wrong with a picture's size, in words; "" where it can be drawn."""
    if width_px % 8 or height_px % 8 or not LEAST_PX <= min(width_px, height_px) <= max(width_px, height_px) <= MOST_PX:
        return f"both sides have to be multiples of 8, from {LEAST_PX} to {MOST_PX}"
    if width_px * height_px > MOST_PIXELS:
        return f"at most {MOST_PIXELS / 1e6:.0f} megapixels (4096x4096) are drawn"
    return ""


def _whole(value: object, name: str, lowest: int, highest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise UnitError(f"{name} is {value!r}; a whole number from {lowest} to {highest} was expected.")
