"""The WebUI as a host."""

from __future__ import annotations

from lib_faceid.effects.effect import EffectKind
from lib_faceid.hosts.webui import script, settings
from lib_faceid.hosts.webui.api import loaded_family
from lib_faceid.jobs.choosing import Models
from lib_faceid.models.folders import Roots

__all__ = ["WebUI"]


class WebUI:
    """AUTOMATIC1111's WebUI; `hosts.host.Host`."""

    name = "the WebUI"
    carries: frozenset[EffectKind] = frozenset({"tokens", "lora"})

    def roots(self) -> Roots:
        """Return the folders of its models and settings."""
        return settings.roots()

    def base(self) -> int | None:
        """Return the cross attention dimension of the loaded checkpoint."""
        return loaded_family()

    def models(self) -> Models:
        """Return where its models come from."""
        return script.models()
