"""The tab "People" beside the LoRAs' cards: a card for each saved person or image, which writes its tag."""

from __future__ import annotations

import html
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modules import shared, ui_extra_networks

from lib_faceid.errors import FileError
from lib_faceid.hosts.webui.settings import roots
from lib_faceid.people.card import card_of
from lib_faceid.people.library import People, open_library
from lib_faceid.units.tags import tag_for

__all__ = ["PeoplePage", "register"]

# A card itself: the WebUI's own script takes away everything else that stands among cards.
NO_CARDS = (
    '<div class="card" data-name=""><div class="actions"><span class="name">Nobody is saved yet</span>'
    '<span class="description">Put photos into a unit of IP-Adapter FaceID, and save the person there.</span>'
    "</div></div>"
)
UNTAGGABLE = frozenset(
    '<>"'
)  # by hand only can a file get such a name: a tag would end there, and so would the page's own


class PeoplePage(ui_extra_networks.ExtraNetworksPage):  # pyright: ignore[reportUntypedBaseClass]
    """The WebUI asks it for its cards, again with every refresh."""

    def __init__(self) -> None:
        super().__init__("People")

    def list_items(self) -> Iterator[dict[str, Any]]:
        """Give what the WebUI makes cards of."""
        names = [name for name in self._library.names() if not UNTAGGABLE.intersection(name)]
        for index, name in enumerate(names):
            if item := self.create_item(name, index):
                yield item

    def create_item(self, name: str, index: int | None = None, enable_filter: bool = True) -> dict[str, Any] | None:
        """Return what the WebUI makes a card of; None for one that is gone meanwhile."""
        try:
            path = os.path.abspath(self._library.path(name))  # noqa: PTH100 - as the WebUI spells the folder
            card = card_of(Path(path))
        except (FileError, OSError):
            return None
        stem = path.removesuffix(".safetensors")
        return {
            "name": name,
            "filename": path,
            "shorthash": "",
            "preview": self.find_preview(stem) or card.picture,
            "description": card.words,
            "search_terms": [html.escape(name)],
            "local_preview": f"{stem}.{shared.opts.samples_format}",
            "sort_keys": {"default": index, **self.get_sort_keys(path)},
            "prompt": ui_extra_networks.quote_js(tag_for(name, purpose=card.purpose)),
        }

    def create_card_view_html(self, tabname: str, *, none_message: str | None = None) -> str:
        """Return all cards, or what to do where there are none."""
        return str(super().create_card_view_html(tabname, none_message=none_message or NO_CARDS))

    def allowed_directories_for_previews(self) -> list[str]:
        """Return where the user may put a picture for a card: beside the person's file."""
        return [str(self._library.folder)]

    @property
    def _library(self) -> People:
        return open_library(roots())


def register() -> None:
    """Add the tab to those of the extra networks."""
    ui_extra_networks.register_page(PeoplePage())
