"""What the WebUI gives the tab of the journal, and its paste mechanism for the button back to txt2img."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modules import shared

from lib_faceid.hosts.webui.api import journal
from lib_faceid.hosts.webui.settings import roots, setting
from lib_faceid.people.library import open_library

if TYPE_CHECKING:
    from lib_faceid.journal.journal import Journal

__all__ = ["is_on", "journal_if_on", "paste_into_txt2img", "photos_of", "switch"]


def is_on() -> bool:
    """Say whether runs are written down."""
    return bool(setting("faceid_journal"))


def journal_if_on() -> Journal | None:
    """Return the journal; None where runs are not written down."""
    return journal() if is_on() else None


def switch(wanted: bool) -> None:
    """Set the option, as its place on the settings page does."""
    shared.opts.set("faceid_journal", wanted)
    shared.opts.save(shared.config_filename)


def photos_of(name: str) -> Sequence[str]:
    """Return the hashes by which the journal knows a saved person's photos."""
    return open_library(roots()).hashes_of(name)


def paste_into_txt2img(button: Any, infotext: Any) -> None:
    """Have a button fill in txt2img from a text, as "PNG Info" does."""
    from modules import infotext_utils

    binding = infotext_utils.ParamBinding(button, "txt2img", source_text_component=infotext)
    infotext_utils.register_paste_params_button(binding)
