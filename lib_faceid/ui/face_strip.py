"""All faces of a group photo as one strip: a click chooses one, and several become a unit each."""

from __future__ import annotations

from html import escape

from lib_faceid.ui.parts import data_url
from lib_faceid.ui.preview import Preview

__all__ = ["EACH", "SEVERAL_PEOPLE", "SPLIT", "faces_html", "people_html"]

EACH = "A unit for each of these"
SPLIT = "A unit for each person"
SEVERAL_PEOPLE = "Is this one person? The photos seem to show {} people, and one unit draws a mixture of them."
HOW = "Click the face that is meant. Tick several for a unit each."


def faces_html(look: Preview | None) -> str:
    """Return the faces of a unit's only photo, each a button; nothing where there are not several."""
    if look is None or len(look.faces) < 2:
        return ""
    faces = "".join(
        '<div class="faceid-face">'
        f'<button type="button" data-faceid-asks="face:{one.number}" aria-pressed="{_word(one.number == look.number)}">'
        f'<img src="{data_url(one.crop)}" width="112" height="112" alt="Face {one.number}">'
        f"<span>{one.number} · {escape(one.verdict)}</span></button>"
        f'<input type="checkbox" value="{one.number}" aria-label="A unit for face {one.number}"></div>'
        for one in look.faces
    )
    each = f'<button type="button" class="faceid-each" data-faceid-asks="each" hidden>{EACH}</button>'
    return (
        f'<p class="faceid-how-to">{HOW}</p>'
        f'<div class="faceid-faces" role="group" aria-label="Faces in the photo">{faces}</div>{each}'
    )


def _word(value: bool) -> str:
    return "true" if value else "false"


def people_html(number: int) -> str:
    """Return the question that photos of several people in one unit are, with the button that answers it."""
    if number < 2:
        return ""
    return (
        f'<div class="faceid-notice faceid-warning" role="status">{escape(SEVERAL_PEOPLE.format(number))} '
        f'<button type="button" data-faceid-asks="people">{SPLIT}</button></div>'
    )
