"""Whether a drawn face follows the light on the photo: two photos of everybody, in different light, and what is drawn.

`structure` of Plus v2 is to take over what the image encoder sees of a photo and the recogniser's vector does not say.
Here that is a number: how the difference between two photos of one person comes back in the two pictures of him.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gallery import BLUE, Gallery, photo_of
from numpy.typing import NDArray

from lib_faceid.encoders.clip_vision import ClipVision
from lib_faceid.faces.analyser import FaceAnalyser, largest
from lib_faceid.pictures.photo import read_photo
from lib_faceid.references.identity import Identity
from lib_faceid.references.joining import identity_from_photos

__all__ = ["Following", "Pictures", "followed", "in_two_lights", "light_on", "lit", "people_of"]

INNER = slice(56, 168)  # of the straightened face of 224 px: cheeks, eyes, nose and mouth
SIDES = ("one", "other")
Floats = NDArray[np.float64]
Pictures = Mapping[str, NDArray[np.uint8]]


@dataclass(frozen=True, eq=False)
class Following:
    """The correlation over people of what differs between two photos and between the two pictures drawn of them."""

    brightness: float
    slant: float
    """How much brighter the right half is than the left."""
    more: Floats
    """[2]: by how much pictures differ for 1 by which photos do: of brightness, of slant."""
    likeness: float
    """Of all pictures to the person's own photo as it is."""

    def row(self, name: str) -> str:
        """Return a line of the table."""
        cells = (self.brightness, self.slant, *self.more, self.likeness)
        return f"| {name} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |"


def lit(photo_rgb: NDArray[np.uint8], gain: float, slant: float) -> NDArray[np.uint8]:
    """Return the photo [h, w, 3] brighter by a factor, and by `slant` of that from its left to its right edge."""
    across = np.linspace(-0.5, 0.5, photo_rgb.shape[1])[None, :, None]
    return (photo_rgb * (gain * (1 + slant * across))).round().clip(0, 255).astype(np.uint8)


def light_on(face_rgb: NDArray[np.uint8]) -> Floats:
    """Return the brightness of a straightened face [224, 224, 3], of 255, and by how much the right half has more."""
    grey = face_rgb[INNER, INNER].mean(-1)
    left, right = np.split(grey, 2, axis=1)
    return np.array((grey.mean(), right.mean() - left.mean()))


def in_two_lights(names: Sequence[str], seed: int = 0) -> Pictures:
    """Return two photos of everybody, as `<name>_one` and `<name>_other`, in light that chance decides."""
    draw = np.random.default_rng(seed)
    return {
        f"{name}_{side}": lit(read_photo(photo_of(name)), draw.uniform(0.7, 1.25), draw.uniform(-0.9, 0.9))
        for name in names
        for side in SIDES
    }


def people_of(photos: Pictures, analyser: FaceAnalyser, clip: ClipVision) -> dict[str, Identity]:
    """Return each photo's person, with what the image encoder sees."""
    return {name: identity_from_photos(photo, analyser=analyser, clip=clip) for name, photo in photos.items()}


def followed(
    gallery: Gallery, photos: Pictures, analyser: FaceAnalyser, plain: Mapping[str, Identity], **settings: Any
) -> Following:
    """Return how the pictures that are drawn of photos follow these. plain: each person of his photo as it is."""
    names = list(photos)
    drawn = gallery.draw(names, [0] * len(names), [BLUE] * len(names), **settings)
    wanted = np.array([light_on(largest(analyser.search(photos[name]).require()).crop_rgb) for name in names])
    given = np.array([light_on(largest(one.faces).crop_rgb) if one.faces else [np.nan] * 2 for one in drawn])
    likeness = [one.likeness(plain[name.rpartition("_")[0]]) for one, name in zip(drawn, names, strict=True)]
    asked, got = ((each[::2] - each[1::2]) for each in (wanted, given))
    known = ~np.isnan(got).any(1)
    asked, got = asked[known], got[known]
    brightness, slant = (float(np.corrcoef(asked[:, at], got[:, at])[0, 1]) for at in (0, 1))
    return Following(brightness, slant, (asked * got).sum(0) / np.square(asked).sum(0), float(np.mean(likeness)))
