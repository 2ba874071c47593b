"""Which recogniser made a vector: its file's name, a hyphen, and the first 8 digits of the file's SHA-256.

Vectors of two recognisers have the same shape and nothing to do with each other: mixed, they are a random person.
"""

from __future__ import annotations

from lib_faceid.errors import MismatchError

__all__ = [
    "PACKS",
    "TRAINED_ON",
    "in_pack",
    "is_as_trained",
    "is_same_space",
    "require_same_space",
    "unknown_note",
    "untrained_note",
    "usual_length",
]

TRAINED_ON = "w600k_r50"
"""ArcFace ResNet-50 on WebFace600K, of the packs buffalo_l and buffalo_m: what h94's adapters were trained on."""
# Published files, whatever they are called: w600k_r50.onnx (174,383,860 bytes), glintr100.onnx (260,665,334 bytes).
PUBLISHED_DIGITS = {TRAINED_ON: "4c06341c", "glintr100": "4ab1d643"}
PACKS = {TRAINED_ON: "buffalo_l", "glintr100": "antelopev2"}
"""Recogniser -> the published pack that holds it."""
# How long the vectors of good photos are, before they are normalised: medians of 36 faces. Others are not measured.
USUAL_LENGTHS = {"w600k_mbf": 24.2}


def is_as_trained(recogniser: str, trained_on: str = TRAINED_ON) -> bool:
    """Say whether this is the recogniser that an adapter was trained on; by default, a published FaceID adapter."""
    name, digits = _split(recogniser)
    if digits and digits == PUBLISHED_DIGITS.get(trained_on):
        return True
    return name == trained_on or name.startswith(f"{trained_on}_")


def is_same_space(first: str, second: str) -> bool:
    """Say whether the vectors of two recognisers can be compared. "" is unknown, and fits only itself."""
    if is_as_trained(first) and is_as_trained(second):
        return True
    return first == second


def require_same_space(first: str, second: str, what: str = "These faces") -> None:
    """Raise MismatchError unless the vectors of two recognisers can be compared."""
    if not is_same_space(first, second):
        raise MismatchError(
            f"{what} come from different recognisers ({first or 'unknown'} and {second or 'unknown'}), whose vectors "
            "do not mean the same person. Make all of them with one, best with buffalo_l."
        )


def usual_length(recogniser: str) -> float:
    """Return how long its vectors of good photos are; 0 where that is not known."""
    return next((length for name, length in USUAL_LENGTHS.items() if recogniser.startswith(name)), 0.0)


def untrained_note(recogniser: str, trained_on: str = TRAINED_ON) -> str:
    """Return a sentence for vectors that an adapter was not trained on; empty for the right ones and for unknown ones.

    trained_on: what the adapter's file says (`Adapter.recogniser`); by default, that of the published adapters.
    """
    if not recogniser or is_as_trained(recogniser, trained_on):
        return ""
    expected = (
        f"the published adapters expect {TRAINED_ON} (buffalo_l), and draw"
        if trained_on == TRAINED_ON
        else f"this adapter was trained on {in_pack(trained_on)}, and draws"
    )
    return f"The recogniser is {recogniser}; {expected} a random person from the vectors of another one."


def unknown_note(trained_on: str = TRAINED_ON) -> str:
    """Return a sentence for vectors of which nothing says what made them."""
    return (
        f"Which recogniser made this person's numbers is not known; those of {in_pack(trained_on)} draw the person, "
        f"others a random one. To name it: face save NAME FILE --recogniser {trained_on}."
    )


def in_pack(recogniser: str) -> str:
    """Return a recogniser's name, with that of the published pack that holds it, if there is one."""
    return f"{recogniser} ({PACKS[recogniser]})" if recogniser in PACKS else recogniser


def _split(recogniser: str) -> tuple[str, str]:
    name, _, digits = recogniser.rpartition("-")
    return (name, digits) if name else (recogniser, "")
