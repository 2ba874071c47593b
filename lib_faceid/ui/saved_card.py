"""A saved person as a card: of how many photos, how good they were, and when."""

from __future__ import annotations

from html import escape

from lib_faceid.ui.parts import notice
from lib_faceid.ui.services import Services, attempt
from lib_faceid.units.unit import Purpose

__all__ = ["saved_html"]


def saved_html(services: Services, names: str, purpose: Purpose) -> str:
    """Return a card for each saved name of a unit, with `|` between several; nothing for none."""
    saved = [name.strip() for name in (names or "").split("|")]
    return "".join(_card(services, name, purpose) for name in saved if name)


def _card(services: Services, name: str, purpose: Purpose) -> str:
    known, problem = attempt(services.known_of, name)
    if known is None:
        return notice(problem, "warning")
    what = "photo" if purpose == "person" else "image"
    made = f"of 1 {what}" if known.number == 1 else f"of {known.number} {what}s"
    quality = ""
    if known.scores:
        lowest = min(known.scores)
        quality = (
            f"quality {lowest:.2f}" if len(known.scores) == 1 else f"quality {lowest:.2f} to {max(known.scores):.2f}"
        )
    facts = ", ".join(filter(None, [made, quality, f"saved {known.day}"]))
    text = f"<strong>{escape(name)}</strong><span>{escape(facts)}</span>"
    return f'<div class="faceid-card faceid-saved"><div>{text}</div></div>'
