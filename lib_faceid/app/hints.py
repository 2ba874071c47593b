"""What our own page says beside *Generate*, before and after: that nobody is asked for, or somebody it cannot know."""

from __future__ import annotations

from collections.abc import Sequence

from lib_faceid.app.resources import Resources
from lib_faceid.miniature.trained import STRANGER_NAME, TRAINED_NAME
from lib_faceid.units.unit import Unit

__all__ = ["EXPECTED", "NO_UNIT_IS_ON", "ROUGHLY", "STRANGER", "first_person", "hint", "is_stranger"]

NO_UNIT_IS_ON = (
    "No unit is on: the picture shows what the prompt alone gives, and nobody in particular. Open IP-Adapter FaceID, "
    "drop a photo or choose a saved person, and tick Enable."
)
EXPECTED = (
    "The miniature draws strangers roughly, best those who look like the few whose faces it was trained on: expect "
    "little likeness to a photo of yours."
)
STRANGER = (
    f"{EXPECTED} For more, put a Stable Diffusion checkpoint into models/Stable-diffusion, "
    "and get an adapter and the face models in Check setup. To see what it can, choose the saved person instead of the "
    "photo."
)
ROUGHLY = "weak: the miniature draws strangers roughly"


def hint(checkpoint: str, units: Sequence[Unit], *, is_prompt_alone: bool) -> str:
    """Return what to know before a picture is drawn with these units; "" where all is as it should be.

    is_prompt_alone: whether nothing but the units adds to the prompt: no tag in it, no ControlNet.
    """
    acting = [unit for unit in units if unit.acts]
    if not acting and is_prompt_alone:
        return NO_UNIT_IS_ON
    return STRANGER if is_stranger(checkpoint, acting) else ""


def is_stranger(checkpoint: str, units: Sequence[Unit]) -> bool:
    """Return whether the miniature is asked for somebody in a photo."""
    return checkpoint == TRAINED_NAME and any(unit.acts and unit.images and not unit.person for unit in units)


def first_person(resources: Resources, checkpoint: str) -> str:
    """Return the saved person who is chosen when the page opens: with the miniature, the one who ships with it."""
    if checkpoint != TRAINED_NAME:
        return ""
    names = resources.people().names("person")
    return STRANGER_NAME if STRANGER_NAME in names else next(iter(names), "")
