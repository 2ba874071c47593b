"""The journal on our own page, below the units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gradio as gr

from lib_faceid.app.resources import Resources
from lib_faceid.models.own_settings import change_settings, own_settings
from lib_faceid.ui.journal import JournalServices, JournalTab, build_journal

if TYPE_CHECKING:
    from lib_faceid.journal.journal import Journal

__all__ = ["build_own_journal", "journal_if_on"]


def journal_if_on(resources: Resources) -> Journal | None:
    """Return the journal; None where runs are not written down."""
    from lib_faceid.journal.journal import open_journal

    return open_journal(resources.roots) if own_settings(resources.roots).journal else None


def build_own_journal(resources: Resources) -> JournalTab:
    """Return the journal's part of the page, made where gradio stands right now."""

    def journal() -> Journal:
        from lib_faceid.journal.journal import open_journal

        return open_journal(resources.roots)

    def is_on() -> bool:
        return own_settings(resources.roots).journal

    def switch(wanted: bool) -> None:
        change_settings(resources.roots, journal=wanted)

    with gr.Accordion("FaceID journal", open=False, elem_id="faceid_journal_panel"):
        return build_journal(JournalServices(journal, is_on, switch, lambda name: resources.people().hashes_of(name)))
