"""What the page says of a unit's references, by what they are for: a person in photos, or images as prompts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lib_faceid.units.unit import FIELDS, Purpose

__all__ = ["NAMED", "WORDS", "Words", "field_words"]


@dataclass(frozen=True)
class Words:
    """Texts of one unit; `{}` stands for a number."""

    drop: str
    add: str
    what: str
    """The heading of one reference's card."""
    used: str
    """What its picture shows."""
    group: str
    """What all cards together are."""
    weight_of: str
    here_already: str
    enough: str
    gone: str
    save: str
    save_info: str


WORDS: Mapping[Purpose, Words] = {
    "person": Words(
        drop="Drop a photo here, paste or click",
        add="Add photos…",
        what="Photo {}",
        used="The face that is used of photo {}",
        group="What is used of the photos",
        weight_of="Weight of photo {}",
        here_already="That photo is here already.",
        enough="{} photos are enough: the others were left out.",
        gone="Photos are not kept when the page is loaded again: add them once more.",
        save="Save person",
        save_info="The photos become one small file: numbers, no pictures.",
    ),
    "image": Words(
        drop="Drop an image here, paste or click",
        add="Add images…",
        what="Image {}",
        used="What is seen of image {}",
        group="What is seen of the images",
        weight_of="Weight of image {}",
        here_already="That image is here already.",
        enough="{} images are enough: the others were left out.",
        gone="Images are not kept when the page is loaded again: add them once more.",
        save="Save image",
        save_info="The images become one small file: what the encoders make of them, no pictures.",
    ),
}
_OF_IMAGES: Mapping[str, tuple[str, str]] = {
    "person": ("Saved image", "One from the library, instead of dropped images. Several, for one each: Sunset | Sea."),
    "weight": ("Image weight", "How strongly the image acts."),
    "combine": ("Combine", "How several become one. Concatenate keeps the tokens of each; subtract: first less rest."),
    "region": ("Region", "Where the image acts: left, top right, centre, 'box 0.1 0.2 0.6 0.9', mask."),
    "noise": ("Noise", "Adds noise to the negative image embeds: more contrast."),
    "batch": ("Several images", "Together they are one prompt. One each: the first image of a batch gets the first."),
}  # fmt: skip
NAMED = tuple(_OF_IMAGES)
"""The fields that have another label where the reference is an image."""


def field_words(name: str, purpose: Purpose) -> tuple[str, str]:
    """Return a field's label and its line of help."""
    return _OF_IMAGES[name] if purpose == "image" else (FIELDS[name].label, FIELDS[name].help)
