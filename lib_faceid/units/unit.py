"""A unit: what a user sets for one person. The page, the HTTP API and the metadata all read its fields from here."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from lib_faceid.arguments import is_number, require
from lib_faceid.errors import UnitError
from lib_faceid.units.field import Field, Picture, Range, setting
from lib_faceid.units.layer_weights import LayerWeights, read_factors
from lib_faceid.units.old_names import OLD_FIELDS
from lib_faceid.units.photos import Photo, as_unit_photos
from lib_faceid.units.region import EVERYWHERE, MASK, box_of, which_face
from lib_faceid.units.weight_types import LINEAR, WEIGHT_TYPES

__all__ = [
    "AUTO",
    "FIELDS",
    "LIKENESS",
    "ONE_EACH",
    "PICTURES",
    "PURPOSES",
    "Field",
    "Photo",
    "Picture",
    "Purpose",
    "Range",
    "Unit",
]

AUTO = "Auto"
Purpose: TypeAlias = Literal["person", "image"]
"""What a reference is for: the person in it, or the image itself."""
PURPOSES: tuple[Purpose, ...] = ("person", "image")
ONE_EACH = "one each"
"""The value of `batch` and `adetailer` that gives each image, or each face, its own."""
LIKENESS = "likeness"
"""The value of `adetailer` that gives each face the unit whose person it is most like."""


@dataclass(frozen=True)
class Unit:
    """The settings of one person, checked when they are made. Raises UnitError for a value that cannot be.

    >>> Unit.from_dict({"person": "Anna", "weight": 0.7, "region": "left"}).acts
    True
    """

    enabled: bool = setting(False, bool, "Enable", "Draw this person.")
    images: tuple[Photo, ...] = setting(
        (),
        list,
        "Photos",
        "One to 20 photos of one person, the whole head visible. Several photos give a better likeness.",
    )
    person: str = setting(
        "", str, "Saved person", "Somebody from the library, instead of photos. Several, for one each: Ann | Ben."
    )
    purpose: str = setting(
        "person",
        PURPOSES,
        "Reference for",
        "The person in the photos; or the image itself: everything in it, its style or its composition (weight type).",
    )
    face: str = setting(
        "largest",
        str,
        "Face",
        "Largest, its number in the preview, or 'box 0.3 0.1 0.6 0.5': marked by hand, in fractions of the photo.",
        which_face,
    )
    combine: str = setting(
        "average",
        ("average", "median", "tokens", "concatenate", "add", "subtract"),
        "Combine",
        "How several photos become one. Median forgives a bad photo; concatenate keeps the tokens of each. Add and "
        "subtract are for images: the sum of all, or the first less the others.",
    )
    adapter: str = setting(AUTO, str, "Adapter", "Auto takes the best adapter found for the loaded checkpoint.")
    variant: str = setting(AUTO, str, "Variant", "Only for files that do not tell which variant they are.")
    weight: float = setting(0.8, Range(0, 2, 0.05), "Identity weight", "How strongly the person is drawn.")
    structure: float = setting(
        1.0,
        Range(0, 3, 0.05),
        "Face structure",
        "Higher copies shape, hair and angle of the photo; lower gives freedom.",
    )
    lora: float = setting(0.6, Range(0, 1.5, 0.05), "LoRA strength", "The LoRA in the adapter file, if it has one.")
    start: float = setting(0.0, Range(0, 1, 0.01), "Start", "Acts from this fraction of the steps.")
    end: float = setting(1.0, Range(0, 1, 0.01), "End", "Acts up to this fraction of the steps.")
    fade: float = setting(
        0.0,
        Range(0, 0.5, 0.01),
        "Fade",
        "Ramps the weight up over this fraction of the steps after start, and down before end (where end is below 1).",
    )
    clip_crop: str = setting(
        "face",
        ("face", "head", "whole"),
        "CLIP sees",
        "The face as trained, head and hair, or the whole photo (as in ControlNet).",
    )
    image_crop: str = setting(
        AUTO,
        (AUTO, "square", "padded", "whole", "face"),
        "Image crop",
        "What is seen of an image: the square in its centre, all of it with borders, all of it squeezed, or the face. "
        "Auto is as the adapter was trained.",
    )
    hires: str = setting(
        "both", ("both", "first", "hires"), "Acts in", "Both passes of hires fix, the first, or the second."
    )

    weight_type: str = setting(
        LINEAR, tuple(WEIGHT_TYPES), "Weight type", "How the weight is shared out among the blocks of the UNet."
    )
    layer_weights: str = setting(
        "", str, "Layer weights",
        "Your own factors instead: block:factor, as in 3:2.5,6:1 (the others 0), or one for each of 16 or 11 blocks.",
        read_factors,
    )  # fmt: skip

    region: str = setting(
        EVERYWHERE,
        str,
        "Region",
        "Where the person acts: left, top right, centre, 'box 0.1 0.2 0.6 0.9', mask; auto follows the faces.",
        box_of,
    )
    mask: Any = setting(None, Picture, "Mask", "White where the person acts, black elsewhere; for the region 'mask'.")
    feather: float = setting(32, Range(0, 256, 4), "Feather", "How soft the region's edge is, in pixels.")

    batch: str = setting(
        "together",
        ("together", "one each"),
        "Several photos",
        "Together they are one person. One each: the first image of a batch shows the first photo's person, and so on.",
    )
    negative_images: tuple[Photo, ...] = setting(
        (), list, "Less like", "Somebody whom the person should not look like."
    )
    noise: float = setting(
        0.0,
        Range(0, 1, 0.05),
        "Identity noise",
        "Adds noise to the negative embedding: more contrast, less of an average face.",
    )

    adetailer: str = setting(
        "region",
        ("region", "same", "one each", "likeness", "off"),
        "In ADetailer",
        "By region: on the faces in its region, without one on all. Same: on all. One each: unit k on face k. "
        "Likeness: on the face most like its person.",
    )
    adetailer_weight: float = setting(
        1.0, Range(0, 2, 0.05), "Weight in ADetailer", "The identity weight is multiplied by this in ADetailer."
    )

    net_weight: float = setting(
        0.8,
        Range(0, 2, 0.05),
        "Net strength",
        "How strongly the adapter's ControlNet (IdentityNet) draws the place and pose of the face; 0 leaves it out.",
    )
    net_start: float = setting(0.0, Range(0, 1, 0.01), "Net start", "The ControlNet acts from this fraction on.")
    net_end: float = setting(1.0, Range(0, 1, 0.01), "Net end", "The ControlNet acts up to this fraction.")
    keypoints: str = setting(
        "photo",
        ("photo", "region"),
        "Key points",
        "As the face lies in the photo, which is put whole into the region; or a face that looks straight out of it.",
    )
    pose: Any = setting(None, Picture, "Pose photo", "Another photo, of anybody, whose face gives place and pose.")

    detail: float = setting(
        9,
        Range(1, 27, 1),
        "Image detail",
        "FLUX: into how many pieces along a side an image is cut. 27 all but cancels the prompt, 9 keeps its style.",
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", as_unit_photos(self.images))
        object.__setattr__(self, "negative_images", as_unit_photos(self.negative_images))
        for one in FIELDS.values():
            value = getattr(self, one.name)
            if isinstance(one.kind, Range) and is_number(value) and not isinstance(value, (int, float)):
                object.__setattr__(self, one.name, float(value))  # numpy's, or a fraction
            one.check(getattr(self, one.name))
        object.__setattr__(self, "region", " ".join(self.region.lower().split()))
        if self.enabled and self.region == MASK and self.mask is None:
            raise UnitError("region is 'mask', but there is no mask. Draw or upload one, or choose another region.")
        if self.enabled and self.start >= self.end:
            raise UnitError(f"start is {self.start:g} and end is {self.end:g}: start must come before end.")
        if self.enabled and self.net_start >= self.net_end:
            raise UnitError(
                f"net_start is {self.net_start:g} and net_end is {self.net_end:g}: net_start must come before net_end."
            )

    @property
    def has_reference(self) -> bool:
        """Whether it says who is to be drawn."""
        return bool(self.images or self.person)

    @property
    def names(self) -> tuple[str, ...]:
        """The saved people that it names, in their order."""
        return tuple(name for part in self.person.split("|") if (name := part.strip()))

    @property
    def acts(self) -> bool:
        """Whether it changes anything. At weight 0 it is as if it were off, its LoRA too."""
        return self.enabled and self.has_reference and self.weight != 0 and self.layers.acts

    @property
    def layers(self) -> LayerWeights:
        """How the weight is shared out among the UNet's blocks."""
        return LayerWeights(self.weight_type, self.layer_weights)

    def acts_in(self, *, hires: bool) -> bool:
        """Whether it acts in the second pass of hires fix, or else in the first (which may be the only one)."""
        return self.acts and self.hires in ("both", "hires" if hires else "first")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Unit:
        """Return the unit of an API request. Every field is optional; a unit with a reference is on by itself.

        `image` is short for `images` with one photo; a photo is text or {"image": text, "weight": number}.
        """
        settings = dict(require(values, "a unit", Mapping, "an object with its settings by name"))
        if "image" in settings:
            if settings.get("images"):
                raise UnitError("image and images were both given. Use images for all photos.")
            settings["images"] = settings.pop("image")
        settings = {OLD_FIELDS.get(name, name): value for name, value in settings.items()}
        for name in settings:
            if name not in FIELDS:
                raise UnitError(f"unknown field '{name}' ({_hint(str(name))})")
        settings["images"] = as_unit_photos(settings.get("images"))
        if settings.get("mask") is not None:
            settings.setdefault("region", MASK)
        given: dict[str, Any] = {"enabled": bool(settings["images"] or settings.get("person")), **settings}
        return cls(**given)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, in their order."""
        return {name: getattr(self, name) for name in FIELDS}


def _hint(name: str) -> str:
    near = difflib.get_close_matches(name, FIELDS, n=1)
    return f"did you mean '{near[0]}'?" if near else f"fields are {', '.join(FIELDS)}"


FIELDS: Mapping[str, Field] = {
    one.name: Field(one.name, one.default, **one.metadata) for one in dataclasses.fields(Unit)
}
"""The unit's fields by name: their order is that of the page's components and of the metadata."""
PICTURES = tuple(name for name, one in FIELDS.items() if one.kind in (list, Picture))
"""The fields that are pictures: no line of text carries them."""
