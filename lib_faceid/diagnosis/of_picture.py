"""Evidence from the prompt and from how the picture looks: guidance, style, realism keywords, missing blocks."""

from __future__ import annotations

from lib_faceid.diagnosis.evidence import Change, Evidence, clamp, job, kept, of_units, ramp, short, unit_field
from lib_faceid.diagnosis.facts import Facts, UnitFacts
from lib_faceid.diagnosis.prompt_blocks import with_words, without_words
from lib_faceid.units.unit import FIELDS

__all__ = [
    "INSERTED", "contradiction", "expression", "few_steps", "high_cfg", "overcooked", "overdriven", "prompt_dominates",
    "style_ignored", "waxy",
]  # fmt: skip

INSERTED = {
    "subject": "portrait of a person",
    "expression": "calm expression, looking at the camera",
    "camera": "85mm lens, eye level, head and shoulders",
    "light": "soft window light from the side",
    "background": "plain grey background",
    "style": "natural colours",
}
"""What is put in where a block is missing."""
CLIPPED, SATURATED, CONTRASTED = 0.2, 0.55, 78.0  # absolute bounds of a face, where weight 0 is not known
WAXY = 0.006  # detail of a face; photographs have 0.2 and more, small soft ones 0.02
SMOOTHER, HARDER = 0.55, 1.3  # as a multiple of the same settings at weight 0
MOST_WORDS = 60  # some 75 tokens: what comes later is hardly followed
STACKED = 3
IGNORED = 0.85  # of the match of prompt and picture at weight 0
MATCH = 0.19  # CLIP's cosine for pictures that do not show what a prompt says
WEIGHT, STEPS = FIELDS["weight"].default, 20


def overcooked(facts: Facts) -> list[str]:
    """Return what is too hard in the picture, in figures; empty where nothing is, or where nobody looked."""
    look, plain = facts.look, facts.plain_look
    if look is None:
        return []
    bounds = (
        ("contrast", look.contrast, CONTRASTED, plain and max(plain.contrast, 20.0), ".0f"),
        ("saturation", look.saturation, SATURATED, plain and max(plain.saturation, 0.15), ".2f"),
        ("clipped pixels", look.clipped, CLIPPED, plain and max(plain.clipped, 0.1), ".2f"),
    )
    found: list[str] = []
    for name, value, bound, before, digits in bounds:
        if before is not None and value > HARDER * before:
            found.append(f"{name} {value:{digits}}, at weight 0 {before:{digits}}")
        elif value > bound:
            found.append(f"{name} {value:{digits}}, at most {bound:{digits}} in photographs")
    return found


def _smooth(facts: Facts) -> str:
    look, plain = facts.look, facts.plain_look
    if look is None:
        return ""
    if plain is not None:
        is_smoother = look.detail < SMOOTHER * plain.detail
        return f"detail {look.detail:.3f}, at weight 0 {plain.detail:.3f}" if is_smoother else ""
    return f"detail {look.detail:.3f}, {WAXY} and more in photographs" if look.detail < WAXY else ""


def _worst_lack(facts: Facts) -> float:
    return max((short(facts, unit) for unit in facts.units if unit.likeness), default=0.0)


def high_cfg(facts: Facts) -> Evidence | None:
    """Guidance is high, and the picture is hard or the person lost."""
    if facts.cfg is None:
        return None
    signs = overcooked(facts)
    counts = 1.0 if signs else max(_worst_lack(facts), 0.0 if facts.is_scored or facts.look else 0.6)
    change = job("cfg", facts.usual_cfg, f"Lower the CFG scale from {facts.cfg:g} to {facts.usual_cfg:g}.")
    figures = [f"CFG {facts.cfg:g}, {facts.usual_cfg:g} is usual", *signs]
    return kept(ramp(facts.cfg / max(facts.usual_cfg, 1), 1.3, 2.6) * counts, figures, change)


@of_units
def overdriven(facts: Facts, unit: UnitFacts) -> Evidence | None:
    """The weight is so high that the picture suffers."""
    signs = overcooked(facts) or ([_smooth(facts)] if _smooth(facts) else [])
    change = unit_field(unit, "weight", WEIGHT, f"Lower the identity weight from {unit.weight:g} to {WEIGHT:g}.")
    return kept(ramp(unit.weight, 1.0, 1.5) * bool(signs), [f"weight {unit.weight:g}", *signs], change)


def waxy(facts: Facts) -> Evidence | None:
    """Realism keywords are stacked, or the skin is smooth beside style words."""
    blocks, smooth = facts.blocks, _smooth(facts)
    stacked = len(blocks.realism) + len(blocks.doubled)
    if not stacked and not (smooth and len(blocks.style) > 1):
        return None
    unwanted = {*blocks.realism, *(blocks.style if smooth and not stacked else blocks.doubled)}
    cleaned = without_words(facts.prompt, unwanted)
    change = job("prompt", cleaned, f"Take out: {', '.join(sorted(unwanted))}.")
    strength = 0.12 * stacked * (stacked >= STACKED) + 0.45 * bool(smooth)
    named = ", ".join(blocks.realism[:6])
    doubled = f"doubled: {', '.join(blocks.doubled[:4])}" if blocks.doubled else ""
    return kept(strength, [f"{len(blocks.realism)} realism keywords ({named})", doubled, smooth], change)


@of_units
def prompt_dominates(facts: Facts, unit: UnitFacts) -> Evidence | None:
    """The style is stronger than the person."""
    blocks = facts.blocks
    count = len(blocks.style) + len(blocks.media) + 2 * (blocks.strongest >= 1.3)
    if not unit.likeness or not blocks.style:
        return None
    cleaned = without_words(facts.prompt, blocks.style)
    change = job("prompt", cleaned, f"Take the style out until the person is right: {', '.join(blocks.style[:6])}.")
    factor = f"a factor of {blocks.strongest:g} in the prompt" if blocks.strongest > 1 else ""
    lack = facts.lack(unit) or 0.0
    figures = [f"{len(blocks.style)} style words ({', '.join(blocks.style[:6])})", factor]
    likeness = "no face of the person" if unit.mean is None else f"likeness {unit.mean:.2f} at weight {unit.weight:g}"
    return kept(0.18 * count * short(facts, unit) * (lack > 0.1), [*figures, likeness], change)


def style_ignored(facts: Facts) -> Evidence | None:
    """The prompt is not followed: it says too little, or too much."""
    blocks = facts.blocks
    figures, strength = [], 0.0
    if facts.text_match is not None:
        plain = facts.plain_text_match
        lowest = MATCH if plain is None else IGNORED * plain
        if facts.text_match < lowest:
            strength = 0.4 + 0.5 * ramp(facts.text_match / max(lowest, 0.01), 1, 0.5)
            figures = [f"match of prompt and picture {facts.text_match:.3f}, {lowest:.3f} at least was expected"]
    if blocks.words > MOST_WORDS:
        strength = max(strength, 0.3) + 0.3 * ramp(blocks.words, MOST_WORDS, 120)
        figures += [f"{blocks.words} words; about {MOST_WORDS} are followed"]
    if facts.noticed == "style_ignored":
        strength, figures = max(strength, 0.5), [*figures, "you say so"]
    missing = [block for block in ("camera", "light") if block in blocks.missing]
    return kept(
        strength, [*figures, f"no {' and no '.join(missing)} block" if missing else ""], _rewritten(facts, missing)
    )


def _rewritten(facts: Facts, missing: list[str]) -> Change:
    unwanted = {*facts.blocks.realism, *facts.blocks.doubled}
    if missing:
        words = ", ".join(INSERTED[block] for block in missing)
        return job("prompt", with_words(facts.prompt, words), f"Add what is missing: {words}.")
    if unwanted:
        return job("prompt", without_words(facts.prompt, unwanted), f"Take out: {', '.join(sorted(unwanted))}.")
    kept_words = ", ".join(part.strip() for part in facts.prompt.split(",")[:8])
    return job("prompt", kept_words, "Keep the first eight parts of the prompt.")


def expression(facts: Facts) -> Evidence | None:
    """Style is named, and neither expression nor gaze."""
    blocks = facts.blocks
    if "expression" not in blocks.missing:
        return None
    words = INSERTED["expression"]
    change = job("prompt", with_words(facts.prompt, words), f"Name expression and gaze: {words}.")
    strength = 0.25 + 0.05 * len(blocks.style) if len(blocks.style) > 1 else 0.0
    if facts.noticed == "expression":
        strength = max(strength, 0.6)
    named = ", ".join(blocks.style[:6])
    return kept(strength, [f"{len(blocks.style)} style words ({named}), no word of expression or gaze"], change)


def contradiction(facts: Facts) -> Evidence | None:
    """Words of the prompt exclude each other."""
    found = facts.blocks.contradictions
    if not found:
        return None
    first = found[0]
    cleaned = without_words(facts.prompt, [first.second])
    change = job("prompt", cleaned, f"Decide ({first.about}): take out '{first.second}'.")
    figures = [f"'{one.first}' and '{one.second}' ({one.about})" for one in found[:4]]
    return kept(0.4 + 0.15 * clamp(len(found) / 3), figures, change)


def few_steps(facts: Facts) -> Evidence | None:
    """The sampler had too few steps for this guidance."""
    if facts.steps is None or facts.usual_cfg < 3:
        return None
    signs = [_smooth(facts)] if _smooth(facts) else []
    counts = 1.0 if signs else _worst_lack(facts)
    change = job("steps", STEPS, f"Raise the steps from {facts.steps} to {STEPS}.")
    return kept(ramp(facts.steps, 12, 4) * counts, [f"{facts.steps} steps", *signs], change)
