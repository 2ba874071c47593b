"""Is this a good photo of a face? One number, one word, and the reasons with what to do about them.

The number predicts how much of the identity the photo keeps: the cosine between its embedding and that of the same
photo in perfect quality. The curves below were fitted to real photos that were made worse in known steps
(docs/PHOTO_REPORT.md has the table, tests/bench/photo_report.py makes it).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lib_faceid.errors import FileError
from lib_faceid.faces.face import Face
from lib_faceid.faces.measures import Measures, measure

__all__ = ["GOOD_SCORE", "POOR_SCORE", "PhotoReport", "Verdict", "judge", "score_of"]

Verdict = Literal["good", "usable", "poor"]

GOOD_SCORE = 0.85
"""Below it something can be seen in the picture that is drawn."""
POOR_SCORE = 0.6
"""Below it the embedding is another photo's as much as this person's: two good photos of one person have 0.4 to 0.8."""
ROLL_LIMIT_DEGREES, YAW_LIMIT_DEGREES, PITCH_LIMIT_DEGREES = 20, 35, 30
NOTABLE = 0.94  # a flaw that leaves more than this is not worth a word
BY_HAND = 0.8  # between the median and the worst tenth where a box is off by a tenth (docs/PHOTO_REPORT.md)
UNSURE = "the recogniser is unsure of it (covered, noisy, too bright, blurred?): use a plain photo of the whole face"
COVERED = 0.15  # of the face's contrast; open eyes and mouths have 0.17 to 1.2
SHARPNESS = ("size", "sharp", "motion")
ONE_WAY = (0.24, 0.3)  # blur in one direction has 0.01 to 0.27; out of focus, shrunk or dark, most faces keep more
LATER_MEASURES = {one.name: one.default for one in fields(Measures) if one.default is not MISSING}
"""What older reports do not have."""


@dataclass(frozen=True)
class PhotoReport:
    """What one face in one photo is good for.

    >>> report = join_photos("me.jpg").photos[0].report
    >>> report.verdict in ("good", "usable", "poor"), 0 <= report.score <= 1
    (True, True)
    """

    verdict: Verdict
    score: float
    """0 to 1: the cosine to expect between this photo and a perfect one of the same moment."""
    reasons: tuple[str, ...]
    """What is wrong and what to do, the worst first; empty for a flawless photo."""
    measures: Measures

    @property
    def words(self) -> str:
        """The verdict and its reasons as one line."""
        return f"{self.verdict} ({self.score:.2f})" + "".join(f"; {reason}" for reason in self.reasons)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        return {
            "verdict": self.verdict,
            "score": round(self.score, 3),
            "reasons": list(self.reasons),
            "measures": {name: round(value, 3) for name, value in asdict(self.measures).items()},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PhotoReport:
        """Return the report that `to_dict` gave. Raises FileError for anything else."""
        try:
            known = {**LATER_MEASURES, **values["measures"]}
            measures = {field.name: float(known[field.name]) for field in fields(Measures)}
            score, reasons = float(values["score"]), tuple(str(reason) for reason in values["reasons"])
            size_px = int(measures.pop("size_px"))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise FileError(f"A saved photo report is damaged ({error}). Save the person again.") from error
        if not all(map(math.isfinite, (score, *measures.values()))):
            raise FileError("A saved photo report holds values that are not numbers. Save the person again.")
        return cls(_verdict(score), score, reasons, Measures(size_px, **measures))


def judge(face: Face, image_rgb: NDArray[np.uint8]) -> PhotoReport:
    """Return the report of a face and the photo (uint8 RGB [H, W, 3]) that it was found in."""
    measures = measure(face, image_rgb)
    score = score_of(measures)
    return PhotoReport(_verdict(score), score, _reasons(measures), measures)


def score_of(measures: Measures) -> float:
    """Return what is left of the identity, 0 to 1.

    The embedding's length tells it best; where that is known, what each flaw leaves counts by its root, and else whole;
    no score is above what size, sharpness and motion leave.
    """
    factors = _factors(measures)
    flaws = math.prod(factors.values())
    if not measures.certainty:
        return flaws
    return min(_certain(measures) * math.sqrt(flaws), *(factors.get(name, 1.0) for name in SHARPNESS))


def _certain(m: Measures) -> float:
    """Return what an embedding of that length has kept: fitted to 21 faces made worse in up to 95 ways."""
    return min(1.0, 1.1 / (1 + (0.68 / m.certainty) ** 5.5))


def _verdict(score: float) -> Verdict:
    return "good" if score >= GOOD_SCORE else "usable" if score >= POOR_SCORE else "poor"


def _factors(m: Measures) -> dict[str, float]:
    """Return what each flaw leaves. Small and moved faces are also soft ones, so of these only the worst counts."""
    size = 1 / (1 + (18 / max(m.size_px, 1)) ** 2.6)
    sharp = 1 / (1 + (0.015 / max(m.sharpness, 1e-6)) ** 1.3)
    motion = (1 / (1 + (0.0098 / max(m.least_sharp, 1e-6)) ** 1.6)) ** _moved(m)
    worst, leaves = min((("size", size), ("sharp", sharp), ("motion", motion)), key=lambda one: one[1])
    blocks = 0.035 * max(m.blockiness - 2, 0)
    return {
        worst: leaves,
        "noise": 1 / (1 + (m.noise / 0.46) ** 1.9),
        "dark": 1 - 0.6 * m.dark**3.1,
        "bright": 1 - 0.29 * m.bright**4,
        "blocks": 1 / (1 + blocks**0.85 * (100 / max(m.size_px, 1)) ** 1.5),
        # Straightened, but resampled, and seen less well by the detector; quarter turns cost nothing.
        "roll": 1 - 0.055 * math.sin(math.radians(2 * m.roll_degrees)) ** 2,
        # Assumed, not fitted: no photo can be turned to the side afterwards.
        "yaw": 1 / (1 + (abs(m.yaw_degrees) / 60) ** 4),
        "pitch": 1 / (1 + (abs(m.pitch_degrees) / 60) ** 4),
        "eyes": 0.7 if _is_covered(m, m.eyes_contrast) else 1.0,
        "mouth": 0.8 if _is_covered(m, m.mouth_contrast) else 1.0,
        "drawing": 0.5 if _is_drawing(m) else 1.0,
        "hand": 1.0 if m.detector_score else BY_HAND,
    }


def _is_covered(m: Measures, contrast: float) -> bool:
    """Say whether something smooth lies over it; in a soft or dark photo everything is smooth."""
    return contrast < COVERED and m.sharpness > 0.06 and m.dark < 0.3


def _moved(m: Measures) -> float:
    """Return how surely it is blurred in one direction, 0 to 1; the edges of a bar or a mask run in one, too."""
    if any(_is_covered(m, one) for one in (m.eyes_contrast, m.mouth_contrast)):
        return 0.0
    sure, no_more = ONE_WAY
    return min(1.0, max(0.0, (no_more - m.one_way) / (no_more - sure)))


def _is_drawing(m: Measures) -> bool:
    """Say whether there are flat areas and hard edges without a reason that a photo can have for them."""
    is_clipped = m.dark > 0.4 or m.bright > 0.4
    return m.flatness > 0.65 and m.edges > 30 and m.blockiness < 4 and not is_clipped


def _reasons(m: Measures) -> tuple[str, ...]:
    factors = _factors(m)
    words = {
        "size": f"the face is only {m.size_px} px: use a larger photo, best with a face of 160 px or more",
        "sharp": f"it is out of focus or enlarged (sharpness {m.sharpness:.3f}): use a sharper photo",
        "motion": f"it is blurred in one direction, as by motion (sharpness {m.least_sharp:.3f} along it): use a photo "
        "that was taken with a steadier hand or more light",
        "noise": f"it is noisy (grain of {m.noise:.0%} of the face's contrast): use a photo with more light",
        "dark": f"{m.dark:.0%} of the face is nearly black: use a photo with more light",
        "bright": f"{m.bright:.0%} of the face is nearly white: use a photo with less light",
        "blocks": f"it is strongly compressed (blocks {m.blockiness:.0f}): use the original, not a forwarded copy",
        "roll": f"the head is tilted by {abs(m.roll_degrees):.0f} degrees: turn the photo upright",
        "yaw": f"the face is turned away by about {abs(m.yaw_degrees):.0f} degrees: use a more frontal photo",
        "pitch": f"the head is {'lowered' if m.pitch_degrees > 0 else 'raised'} by about "
        f"{abs(m.pitch_degrees):.0f} degrees: use a photo at eye level",
        "eyes": "the eyes seem to be covered or closed: use a photo without sunglasses or hair over them",
        "mouth": "the mouth seems to be covered: use a photo without mask or hand",
        "drawing": "it looks like a drawing; FaceID recognises photographs: for drawings use ip-adapter-plus-face",
        "hand": "its place was marked by hand and eyes and mouth were assumed: the identity is less sure",
    }
    limits = {"roll": (m.roll_degrees, ROLL_LIMIT_DEGREES), "yaw": (m.yaw_degrees, YAW_LIMIT_DEGREES)}
    limits["pitch"] = (m.pitch_degrees, PITCH_LIMIT_DEGREES)
    flaws = [name for name, factor in factors.items() if factor < NOTABLE and name not in limits]
    flaws += [name for name, (degrees, limit) in limits.items() if abs(degrees) > limit]
    named = [words[name] for name in sorted(flaws, key=lambda name: factors[name])]
    if not named and m.certainty and score_of(m) < GOOD_SCORE:
        named.append(UNSURE)
    return tuple(named)
