"""Photos of a person -> that person's Identity. The last step that needs photos, detectors or CLIP."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, get_args

import torch

from lib_faceid.arguments import as_number, is_number, one_of, require, shown
from lib_faceid.encoders.clip_vision import ClipVision
from lib_faceid.encoders.features import CLIP_H_HIDDEN, FeatureKey
from lib_faceid.errors import PhotoError, UnitError
from lib_faceid.faces.analyser import FaceAnalyser, load_face_analyser
from lib_faceid.faces.crops import ClipSees
from lib_faceid.faces.recognisers import require_same_space, untrained_note
from lib_faceid.faces.report import PhotoReport
from lib_faceid.pictures.photo import photo_name
from lib_faceid.pictures.sources import PhotoSource, as_photos
from lib_faceid.references.analysis import clip_features, forget_all, keys_by_encoder, stacked
from lib_faceid.references.combining import SAME_PERSON, likeness_to_rest, relative_weights
from lib_faceid.references.face_choice import Chosen, Look, Skipped, look_at, worth_using
from lib_faceid.references.identity import Identity
from lib_faceid.references.lazy_photo import Opened
from lib_faceid.references.record import PhotoNote, Record
from lib_faceid.references.reference import Features, ReferenceT
from lib_faceid.units.region import Box

__all__ = [
    "MAX_PHOTOS",
    "Combine",
    "Joined",
    "Look",
    "PhotoUse",
    "forget_all",
    "identity_from_photos",
    "join_photos",
    "quality_weight",
]

MAX_PHOTOS = 20

Combine = Literal["average", "median", "tokens", "concatenate"]
"""One face from several: the mean identity, the geometric median (a wrong photo among them does no harm), or the mean
of the adapter's tokens, as sd-webui-controlnet does. "concatenate" keeps every face with tokens of its own."""


@dataclass(frozen=True, eq=False)
class PhotoUse:
    """What became of one photo."""

    number: int
    """From 1, as given."""
    name: str
    """Its file name; empty for pixels."""
    is_used: bool
    reason: str = ""
    """Why it was skipped; empty where it was used."""
    weight: float = 0.0
    """How much it counts, beside the others."""
    sha256: str = ""
    face_number: int = 0
    """Which face was taken, from 1; 0 for none."""
    num_faces: int = 0
    report: PhotoReport | None = None
    likeness: float = 0.0
    """Cosine to the rest of the photos that are used; 1 for a single one, 0 for one that is not used."""

    @property
    def label(self) -> str:
        """What it is called in messages."""
        return repr(self.name) if self.name else f"reference {self.number}"


@dataclass(frozen=True, eq=False)
class Joined(Generic[ReferenceT]):
    """The reference in some pictures, and how that came about.

    >>> joined = join_photos(["me.jpg", "me.jpg"], combine="median")
    >>> joined.identity.id_embeddings.shape, [photo.is_used for photo in joined.photos]
    (torch.Size([1, 512]), [True, True])
    """

    identity: ReferenceT
    photos: tuple[PhotoUse, ...]
    """One for each photo, in order."""
    messages: tuple[str, ...]
    """What the user should know; empty when everything went well."""

    @property
    def record(self) -> Record:
        """What a saved identity remembers of it."""
        return Record(tuple(PhotoNote(use.sha256, use.weight, use.report) for use in self.photos if use.is_used))


def identity_from_photos(
    photos: PhotoSource | Iterable[PhotoSource],
    *,
    analyser: FaceAnalyser | None = None,
    clip: ClipVision | Mapping[FeatureKey, ClipVision] | None = None,
    combine: Combine = "average",
    weights: float | Iterable[float] = (),
    look: Look | None = None,
) -> Identity:
    """Return the person in one photo, or in up to 20; as `join_photos`, for who needs no details.

    >>> identity_from_photos("me.jpg").id_embeddings.shape
    torch.Size([1, 512])
    """
    return join_photos(photos, analyser=analyser, clip=clip, combine=combine, weights=weights, look=look).identity


def join_photos(
    photos: PhotoSource | Iterable[PhotoSource],
    *,
    analyser: FaceAnalyser | None = None,
    clip: ClipVision | Mapping[FeatureKey, ClipVision] | None = None,
    combine: Combine = "average",
    weights: float | Iterable[float] = (),
    look: Look | None = None,
) -> Joined[Identity]:
    """Return the person in one photo, or in up to 20, and which of them were used.

    Without `weights`, better photos count more (`quality_weight`); weight 0 leaves a photo out, and "concatenate" knows
    no other weight. A photo that cannot be read, has no face, or is poor while another is not, is skipped, and
    `messages` names it. `clip` adds an encoder's features of each face: CLIP ViT-H's hidden states, or
    those of the keys that it maps to encoders; `analyser` is by default that of the usual places.

    Raises the first photo's error when no photo is left, UnitError for impossible weights, MismatchError for a person
    of another recogniser.
    """
    photos, weights = as_photos(photos), _weights(weights)
    one_of(combine, "combine", get_args(Combine))
    look = require(Look() if look is None else look, "look", Look, "a Look")
    if not 1 <= len(photos) <= MAX_PHOTOS:
        found = f"There are {len(photos)} reference photos" if photos else "There is no reference photo"
        raise PhotoError(f"{found}. Give 1 to {MAX_PHOTOS} photos of the person.")
    if isinstance(look.face, Box) and len(photos) > 1:
        raise UnitError(
            f"A face box is for one photo, and there are {len(photos)}. Give one photo, or the number of a face."
        )
    shares = relative_weights(weights, len(photos)).tolist()
    analyser = analyser or load_face_analyser()
    if isinstance(look.face, Identity):
        require_same_space(look.face.recogniser, analyser.recogniser, "The saved person and these photos")
    seen = [
        look_at(photo, f"reference {number} of {len(photos)}", analyser, look.face)
        if share
        else Skipped("its weight is 0")
        for number, (photo, share) in enumerate(zip(photos, shares, strict=True), 1)
    ]
    used = worth_using(seen)
    counts = {i: shares[i] if weights else quality_weight(one.face.report) for i, one in used.items()}
    features = _clip_features([(photos[i], one) for i, one in used.items()], clip, look.clip_sees)
    embeddings = torch.stack([one.face.id_embedding for one in used.values()])
    weighed = tuple(counts.values())
    every = Identity(embeddings, recogniser=analyser.recogniser, weights=weighed, features=features)
    likeness = dict(zip(used, likeness_to_rest(every.normed_embeddings).tolist(), strict=True))
    uses = tuple(_use(i, photo, seen[i], counts.get(i, 0.0), likeness.get(i, 0.0)) for i, photo in enumerate(photos))
    return Joined(_combined(every, combine), uses, _messages(uses, analyser.recogniser, look.trained_on))


def quality_weight(report: PhotoReport) -> float:
    """Return how much a photo counts where the user does not say: a good one up to eight times as much as a poor one.

    The reciprocal of what the photo is expected to lose, so that the best photos of a mixed lot decide.
    """
    return 1 / (1.05 - report.score)


def _weights(weights: Any) -> tuple[float, ...]:
    """Return the weight of each photo. Raises UnitError, naming the first that can be none."""
    if is_number(weights):
        return (as_number(weights, "weights", 0),)
    if isinstance(weights, (str, bytes)) or not isinstance(weights, Iterable):
        raise UnitError(f"weights is {shown(weights)}; a number from 0 on for each photo was expected.")
    return tuple(as_number(weight, f"weights[{number}]", 0) for number, weight in enumerate(weights))


def _use(index: int, source: PhotoSource, one: Chosen | Skipped, weight: float, likeness: float) -> PhotoUse:
    name = photo_name(source)
    if isinstance(one, Skipped):
        return PhotoUse(index + 1, name, is_used=False, reason=one.reason)
    return PhotoUse(
        number=index + 1,
        name=name,
        is_used=weight > 0,
        reason="" if weight else f"it is {one.face.report.words}",
        weight=weight,
        sha256=one.photo.sha256,
        face_number=one.index + 1,
        num_faces=len(one.photo.faces),
        report=one.face.report,
        likeness=likeness,
    )


def _messages(uses: Sequence[PhotoUse], recogniser: str, trained_on: str) -> tuple[str, ...]:
    used = [use for use in uses if use.is_used]
    messages = [f"{len(used)} of {len(uses)} references used."] if len(used) < len(uses) else []
    messages += [f"{use.label} was skipped: {use.reason}" for use in uses if not use.is_used]
    for use in used:
        if use.report and use.report.verdict != "good":
            messages.append(f"{use.label} is {use.report.words}.")
        if use.likeness < SAME_PERSON:
            messages.append(
                f"{use.label} looks like another person than the rest: cosine {use.likeness:.2f}, and {SAME_PERSON} "
                "was expected. Leave it out, or choose another face in it."
            )
    note = untrained_note(recogniser, trained_on)
    return (*messages, note) if note else tuple(messages)


def _combined(every: Identity, combine: Combine) -> Identity:
    if combine == "average":
        return every.averaged()
    if combine == "median":
        return every.median()
    return replace(every, tokens="average") if combine == "tokens" else every


def _clip_features(
    chosen: Sequence[tuple[PhotoSource, Chosen]],
    clip: ClipVision | Mapping[FeatureKey, ClipVision] | None,
    sees: ClipSees,
) -> dict[FeatureKey, Features]:
    """Return what image encoders make of the faces that were chosen, by key."""
    encoders = clip if isinstance(clip, Mapping) else {CLIP_H_HIDDEN: clip} if clip else {}
    found: dict[FeatureKey, Features] = {}
    for encoder, keys in keys_by_encoder(encoders):
        # Photos are decoded again, where CLIP has not seen them yet: twenty at once could be gigabytes.
        seen = [clip_features(Opened(photo), one.face, encoder, sees, keys) for photo, one in chosen]
        found |= stacked(seen, encoder, keys)
    return found
