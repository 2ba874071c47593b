"""What papers measured, as far as it is public: one table. Data and judges are the user's; none is downloaded.

A number of ours can stand beside a published one only where base, judge, people and prompts are the paper's: what
differs is listed in each report. `Protocol.published` are the papers' own figures, never ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from lib_faceid.arguments import one_of

__all__ = ["PLAIN", "PROTOCOLS", "Protocol", "protocol"]


@dataclass(frozen=True)
class Protocol:
    """How pictures are asked for and judged."""

    id: str
    source: str
    base: str = ""
    """The base model of the published figures; "" for any."""
    people: int | None = None
    """How many people the paper has."""
    prompts: tuple[str, ...] = ()
    """Prompts that are part of it: face similarity is measured with these alone, where there are any."""
    file_prompts: int | None = None
    """How many prompts the paper has besides; they come from the user's file."""
    images: int | None = None
    """Pictures for each person and prompt."""
    steps: int = 25
    cfg: float = 7.0
    weight: float = 0.8
    lora: float = 0.6
    judge: str = ""
    """The paper's recogniser; "" for whichever is there."""
    judge_word: str = ""
    """What stands in the file name of that recogniser."""
    towers: str = ""
    """The paper's CLIP."""
    face: Literal["best", "first"] = "best"
    """Which face of a picture counts: the most alike, or the leftmost."""
    absent: Literal["left out", "zero"] = "left out"
    """What a picture without a face counts."""
    is_negative_zero: bool = False
    at_once: int = 1
    """People in each picture; of several, matched one to one, the lowest counts."""
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict[str, Mapping[str, float]])
    notes: str = ""


PLAIN = "plain"

_PULID = Protocol(
    "pulid",
    "PuLID (NeurIPS 2024, arXiv 2404.16022), Unsplash-50",
    base="SDXL",
    people=50,
    prompts=("portrait, color, cinematic, in garden, soft light, detailed face",),
    file_prompts=20,
    images=4,
    weight=1.5,
    lora=0.8,
    judge="CurricularFace",
    judge_word="curricular",
    published={
        "FaceID": {"face": 0.572, "clip_text": 30.03, "clip_plain": 0.749},
        "InstantID": {"face": 0.648, "clip_text": 26.41, "clip_plain": 0.649},
        "PuLID": {"face": 0.654, "clip_text": 31.23, "clip_plain": 0.813},
    },
    notes="CLIP-I is between the picture with and without the person (same seed), not to the photo. Those "
    "of its table 7 are for CLIP alone and come from your file.",
)
_PULID_LIGHTNING = replace(
    _PULID,
    id="pulid-lightning",
    source=f"{_PULID.source}, SDXL-Lightning",
    base="SDXL-Lightning",
    steps=4,
    cfg=1.2,
    published={
        "FaceID": {"face": 0.615, "clip_text": 28.71, "clip_plain": 0.701},
        "InstantID": {"face": 0.614, "clip_text": 30.55, "clip_plain": 0.736},
        "PuLID": {"face": 0.659, "clip_text": 32.16, "clip_plain": 0.840},
    },
    notes="The paper samples with DPM++ 2M; CLIP-I as in pulid.",
)
_FASTCOMPOSER = Protocol(
    "fastcomposer",
    "FastComposer (mit-han-lab/fastcomposer)",
    base="SD 1.5",
    people=15,
    file_prompts=40,
    images=4,
    steps=50,
    cfg=5.0,
    judge="FaceNet (InceptionResnetV1, vggface2)",
    judge_word="facenet",
    towers="ViT-L/14",
    face="first",
    absent="zero",
    is_negative_zero=True,
    published={"FastComposer": {"face": 0.508, "clip_text": 24.1}},
    notes="Prompts: 10 of accessories, 10 styles, 10 contexts, 10 actions.",
)
_UNIPORTRAIT = replace(
    _FASTCOMPOSER,
    id="uniportrait",
    source="UniPortrait, on the people and prompts of FastComposer",
    steps=20,
    cfg=7.5,
    published={
        "FaceID Plus v2": {"face": 0.684, "clip_text": 24.7},
        "UniPortrait": {"face": 0.711, "clip_text": 26.1},
        "plain SD 1.5": {"face": 0.044, "clip_text": 27.7},
    },
    notes="",
)
_UNIPORTRAIT_TWO = replace(
    _UNIPORTRAIT,
    id="uniportrait-two",
    source="UniPortrait, two people",
    file_prompts=21,
    face="best",
    at_once=2,
    published={
        "UniPortrait": {"face": 0.673, "clip_text": 27.4},
        "FastComposer": {"face": 0.380, "clip_text": 25.5},
        "plain SD 1.5": {"face": 0.016, "clip_text": 28.9},
    },
    notes="All pairs; faces matched greedily, the lower similarity counts. Each has a half of the picture.",
)
_MULTIID = Protocol(
    "multiid",
    "MultiID-Bench (WithAnyone, ICLR 2026; Doby-Xu/WithAnyone)",
    people=435,
    judge="buffalo_l w600k_r50, AdaFace and FaceNet",
    judge_word="w600k_r50",
    towers="ViT-B/16",
    published={
        "WithAnyone": {"truth": 0.460, "copy_paste": 0.144},
        "InstantID": {"truth": 0.464, "copy_paste": 0.337},
        "PuLID": {"copy_paste": 0.315},
    },
    notes="Copy-paste: (angle to the truth - angle to the reference) / angle between the two; 0 is as near "
    "to the truth as to the photo, 1 a copy of it. The truth is a picture of each of its 435 cases; here the "
    "second photo of a person.",
)

PROTOCOLS: Mapping[str, Protocol] = {
    one.id: one
    for one in (
        Protocol(PLAIN, "this project's own"),
        _PULID,
        _PULID_LIGHTNING,
        _FASTCOMPOSER,
        _UNIPORTRAIT,
        _UNIPORTRAIT_TWO,
        _MULTIID,
    )
}


def protocol(name: str) -> Protocol:
    """Return the protocol of that name. Raises UnitError."""
    return PROTOCOLS[one_of(name, "protocol", tuple(PROTOCOLS))]
