"""Which recogniser made a vector: its file's name, a hyphen, and the first 8 digits of the file's SHA-256.

Vectors of two recognisers have the same shape and nothing to do with each other: mixed, they are a random person.
"""

from __future__ import annotations

from lib_faceid.errors import MismatchError

__all__ = ["TRAINED_ON", "is_as_trained", "is_same_space", "require_same_space", "untrained_note"]

TRAINED_ON = "w600k_r50"
"""ArcFace ResNet-50 on WebFace600K, of the packs buffalo_l and buffalo_m: what h94's adapters were trained on."""
# Its published file, w600k_r50.onnx (174,383,860 bytes), whatever it is called.
PUBLISHED_DIGITS = "4c06341c"


def is_as_trained(recogniser: str) -> bool:
    """Say whether this is the recogniser that the published FaceID adapters were trained on."""
    name, digits = _split(recogniser)
    return digits == PUBLISHED_DIGITS or name == TRAINED_ON or name.startswith(f"{TRAINED_ON}_")


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


def untrained_note(recogniser: str) -> str:
    """Return a sentence for vectors that no published adapter was trained on; empty for the right ones."""
    if not recogniser or is_as_trained(recogniser):
        return ""
    return (
        f"The recogniser is {recogniser}; the published adapters expect {TRAINED_ON} (buffalo_l), and draw a random "
        "person from the vectors of another one."
    )


def _split(recogniser: str) -> tuple[str, str]:
    name, _, digits = recogniser.rpartition("-")
    return (name, digits) if name else (recogniser, "")
