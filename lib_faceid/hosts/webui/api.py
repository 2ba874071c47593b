"""What the WebUI gives our HTTP API."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lib_faceid.hosts.webui.settings import roots
from lib_faceid.models.folders import find_adapters

if TYPE_CHECKING:
    from lib_faceid.journal.journal import Journal

__all__ = ["GUARDED_ROUTE", "adapter_files", "journal"]

GUARDED_ROUTE = "/sdapi/v1/txt2img"
"""There only where the WebUI runs with --api. `--api-auth` guards its routes one by one: what guards this one guards
ours."""


def adapter_files() -> list[Path]:
    """Return the adapter files in the WebUI's usual folders."""
    return list(find_adapters(roots()))


def journal() -> Journal:
    """Return the journal of this WebUI, whether or not it is kept."""
    from lib_faceid.journal.journal import open_journal

    return open_journal(roots())
