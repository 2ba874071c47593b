"""Evidence for too little likeness: weight, steps, layers, reference, recogniser, adapter, and who is where."""

from __future__ import annotations

from lib_faceid.diagnosis.evidence import Evidence, clamp, job, kept, of_units, ramp, reference, short, unit_field
from lib_faceid.diagnosis.facts import Facts, UnitFacts
from lib_faceid.diagnosis.prompt_blocks import with_words
from lib_faceid.faces.recognisers import is_as_trained
from lib_faceid.units.region import EVERYWHERE
from lib_faceid.units.unit import AUTO, FIELDS
from lib_faceid.units.weight_types import LINEAR

__all__ = [
    "early_end", "extra_faces", "few_layers", "hires_only", "late_start", "lora_off", "low_weight", "no_face",
    "not_acting", "off", "small_face", "swapped", "too_alike", "unsteady", "weak_reference", "wrong_recogniser",
]  # fmt: skip

WEIGHT, LORA = FIELDS["weight"].default, FIELDS["lora"].default
FULL_WEIGHT = 0.6  # from here on the likeness hardly rises: docs/MINIATURE.md
STRANGERS = 0.26  # the highest likeness of 150 pairs of different people (w600k_mbf)
COPY = 0.9  # photos of one person are rarely as alike as this: a picture that is, is a copy of the photo
GOOD_REFERENCE = 0.85  # faces/report.py
FACE_PX, TINY_PX = 52, 20  # below the first a recogniser begins to lose people, at the second it has lost them
WIDE = 0.12  # standard deviation of the likeness over seeds; 0.04 to 0.09 where nothing is wrong
ENOUGH_SEEDS = 3


def _likeness(facts: Facts, unit: UnitFacts) -> str:
    if not unit.likeness:
        return "nobody looked at the likeness"
    found = f"likeness {unit.mean:.2f}" if unit.mean is not None else "no face of the person"
    count = f" in {len(unit.likeness)} pictures" if len(unit.likeness) > 1 else ""
    return f"{found}{count}, {facts.enough:.2f} is usual" if facts.usual is not None else f"{found}{count}"


@of_units
def off(facts: Facts, unit: UnitFacts) -> Evidence | None:
    """The weight is 0."""
    change = unit_field(unit, "weight", WEIGHT, f"Set the identity weight to {WEIGHT:g}.")
    return kept(float(unit.weight == 0), ["weight 0", _likeness(facts, unit)], change)


@of_units
def low_weight(facts: Facts, unit: UnitFacts) -> Evidence | None:
    """The weight is low, and likeness is missing."""
    lost = ramp(unit.weight, FULL_WEIGHT, 0) if unit.weight > 0 else 0.0
    change = unit_field(unit, "weight", WEIGHT, f"Raise the identity weight from {unit.weight:g} to {WEIGHT:g}.")
    return kept(lost * short(facts, unit), [f"weight {unit.weight:g}", _likeness(facts, unit)], change)


@of_units
def late_start(facts: Facts, unit: UnitFacts) -> Evidence | None:
    """The person acts only after the picture is laid out."""
    change = unit_field(unit, "start", 0.0, f"Let the person act from the first step: start {unit.start:g} to 0.")
    figures = [f"start {unit.start:g}: the first {unit.start:.0%} of the steps without the person"]
    return kept(ramp(unit.start, 0.1, 0.6) * short(facts, unit), [*figures, _likeness(facts, unit)], change)


@of_units
def early_end(facts: Facts, unit: UnitFacts) -> Evidence | None:
    """The person stops acting before the face is finished."""
    change = unit_field(unit, "end", 1.0, f"Let the person act to the last step: end {unit.end:g} to 1.")
    figures = [f"end {unit.end:g}: the last {1 - unit.end:.0%} of the steps without the person"]
    return kept(ramp(unit.end, 0.9, 0.35) * short(facts, unit), [*figures, _likeness(facts, unit)], change)


@of_units
def few_layers(facts: Facts, unit: UnitFacts) -> Evidence | None:
    """The weight goes to a part of the UNet only."""
    if unit.layer_weights:
        what, change = "layer weights of one's own", unit_field(unit, "layer_weights", "", "Empty the layer weights.")
    else:
        what = f"weight type '{unit.weight_type}'"
        change = unit_field(unit, "weight_type", LINEAR, f"Set the weight type to '{LINEAR}'.")
    acts = bool(unit.layer_weights) or unit.weight_type != LINEAR
    return kept(0.45 * acts * short(facts, unit), [what, _likeness(facts, unit)], change)


@of_units
def hires_only(facts: Facts, unit: UnitFacts) -> Evidence | None:
    """The person is in the second pass only, where composition and head are done."""
    change = unit_field(unit, "hires", "both", "Let the person act in both passes.")
    return kept(0.5 * (unit.hires == "hires") * short(facts, unit), ["acts in hires fix only"], change)


@of_units
def lora_off(facts: Facts, unit: UnitFacts) -> Evidence | None:
    """The LoRA that was trained together with the adapter is off."""
    change = unit_field(unit, "lora", LORA, f"Set the LoRA strength to {LORA:g}.")
    return kept(0.3 * (unit.lora == 0) * short(facts, unit), ["LoRA strength 0", _likeness(facts, unit)], change)


@of_units
def weak_reference(facts: Facts, unit: UnitFacts) -> Evidence | None:
    """The photo report expects that much of the identity is lost."""
    if unit.reference is None:
        return None
    lost = ramp(unit.reference, GOOD_REFERENCE, 0.35)
    wavers = f"likeness varies by {unit.spread:.2f} from seed to seed" if unit.spread >= WIDE else ""
    counts = max(short(facts, unit), 0.7 * bool(wavers))
    if unit.photos > 1:
        change = unit_field(unit, "combine", "median", "Combine the photos by their median, which forgives a bad one.")
    else:
        change = reference(unit, "Give a sharp, frontal photo in which the face has 160 px or more.")
    why = f"reference photo {unit.reference:.2f} of 1" + (f": {unit.reference_reason}" if unit.reference_reason else "")
    return kept(lost * counts, [why, wavers or _likeness(facts, unit)], change)


@of_units
def wrong_recogniser(facts: Facts, unit: UnitFacts) -> Evidence | None:
    """The reference's vectors are not those that the adapter was trained on."""
    if not unit.recogniser or not unit.trained_on or is_as_trained(unit.recogniser, unit.trained_on):
        return None
    name = unit.trained_on
    change = reference(unit, f"Make the person again from photos with face models whose recogniser is {name}.")
    figures = [f"reference by {unit.recogniser}, adapter trained on {name}", _likeness(facts, unit)]
    return kept(short(facts, unit), figures, change)


@of_units
def not_acting(facts: Facts, unit: UnitFacts) -> Evidence | None:
    """With a full weight the person is a stranger in every picture."""
    is_on = unit.weight >= FULL_WEIGHT and unit.start <= 0.2 and unit.end >= 0.7 and unit.lora > 0
    bound = min(STRANGERS, 0.5 * facts.enough) if len(unit.seen) > 1 else STRANGERS / 3
    if not is_on or not unit.seen or max(unit.seen) > bound:
        return None
    is_named = unit.adapter not in ("", AUTO)
    change = unit_field(unit, "adapter", AUTO, "Let Auto choose the adapter for the loaded checkpoint.")
    if not is_named:
        change = reference(unit, "Look in 'Check setup' whether adapter, checkpoint and face models belong together.")
    figures = [f"highest likeness {max(unit.seen):.2f} at weight {unit.weight:g}, as of two strangers"]
    return kept(0.5, figures, change)


@of_units
def swapped(facts: Facts, unit: UnitFacts) -> Evidence | None:
    """Another unit's person stands in its place."""
    others = [other for other in facts.units if other.number != unit.number]
    if not unit.swapped or not others:
        return None
    if unit.region == EVERYWHERE:
        change = unit_field(unit, "region", "left", "Give the person a region of its own, such as left.")
    else:
        taken = next((other.region for other in others if other.region not in (EVERYWHERE, unit.region)), "auto")
        change = unit_field(unit, "region", taken, f"Move the person's region from {unit.region} to {taken}.")
    return kept(0.95, [f"the person of unit {unit.number} is where another unit's was wanted"], change)


def extra_faces(facts: Facts) -> Evidence | None:
    """There are faces that nobody asked for."""
    negative = with_words(facts.negative, "crowd, other people")
    change = job("negative", negative, "Add 'crowd, other people' to the negative prompt.")
    strength = 0.0 if facts.others < 0.5 else 0.5 + 0.4 * clamp(facts.others / 2)
    return kept(strength, [f"{facts.others:.1f} faces a picture that belong to no unit"], change)


@of_units
def no_face(facts: Facts, unit: UnitFacts) -> Evidence | None:
    """The person has no face in the pictures."""
    hidden = [word for word in ("from behind",) if word in facts.blocks.found["camera"]]
    change = job(
        "prompt", with_words(facts.prompt, "portrait, face visible"), "Add 'portrait, face visible' to the prompt."
    )
    figures = [f"no face in {unit.absent:.0%} of the pictures", *(f"the prompt says '{word}'" for word in hidden)]
    return kept((0.9 if hidden else 0.5) * unit.absent * (unit.absent >= 0.5), figures, change)


@of_units
def small_face(facts: Facts, unit: UnitFacts) -> Evidence | None:
    """The face is too small for the person to be seen in it."""
    if unit.face_px is None:
        return None
    change = job("prompt", with_words(facts.prompt, "close-up portrait"), "Ask for a close-up portrait.")
    is_whole = f" of {facts.side_px} px" if facts.side_px else ""
    figures = [f"the face has {unit.face_px:.0f} px{is_whole}; from {FACE_PX} px on it can be told"]
    return kept(ramp(unit.face_px, FACE_PX, TINY_PX) * max(short(facts, unit), 0.5), figures, change)


@of_units
def unsteady(_facts: Facts, unit: UnitFacts) -> Evidence | None:
    """The likeness depends on the seed, while the reference is good."""
    if len(unit.seen) < ENOUGH_SEEDS or unit.spread < WIDE:
        return None
    change = job("best_of", 4, "Draw the best of 4 seeds.")
    figures = [f"likeness {min(unit.seen):.2f} to {max(unit.seen):.2f} over {len(unit.seen)} seeds"]
    return kept(0.6 * clamp(unit.spread / 0.25), figures, change)


@of_units
def too_alike(_facts: Facts, unit: UnitFacts) -> Evidence | None:
    """The picture is a copy of the photo."""
    if unit.mean is None or unit.mean < COPY:
        return None
    change = unit_field(unit, "weight", WEIGHT, f"Lower the identity weight to {WEIGHT:g}.")
    if unit.weight <= WEIGHT:
        change = unit_field(unit, "structure", 0.5, "Lower the face structure to 0.5.")
    figures = [f"likeness {unit.mean:.2f}; two photos of one person rarely have more than {COPY:g}"]
    return kept(0.4, figures, change)
