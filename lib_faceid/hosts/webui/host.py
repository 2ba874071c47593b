"""The WebUI as a host."""

from __future__ import annotations

from pathlib import Path

from lib_faceid.effects.effect import EffectKind
from lib_faceid.errors import HostError
from lib_faceid.hosts.host import Settings
from lib_faceid.hosts.usual import models_of
from lib_faceid.hosts.webui import settings
from lib_faceid.hosts.webui.engine import engine
from lib_faceid.hosts.webui.settings import setting
from lib_faceid.jobs.choosing import Models
from lib_faceid.models.folders import Roots
from lib_faceid.pictures.requested import RequestPolicy
from lib_faceid.unet.layers import measured

__all__ = ["WebUI"]


class WebUI:
    """AUTOMATIC1111's WebUI or one that comes from it; `hosts.host.Host`."""

    @property
    def carries(self) -> frozenset[EffectKind]:
        """The kinds of effects that it can apply."""
        return engine().carries

    @property
    def name(self) -> str:
        """What messages call it."""
        return engine().name

    def roots(self) -> Roots:
        """Return the folders of its models and settings."""
        return settings.roots()

    def base(self) -> int | None:
        """Return the cross attention dimension of the loaded checkpoint; raises HostError for another kind of model."""
        unet = engine().unet_at_hand()
        try:
            return None if unet is None else measured(unet)[0]
        except HostError:
            engine().check()  # says which kind it is, where the WebUI knows
            raise

    def settings(self) -> Settings:
        """Return what is set on its settings page."""
        folder = setting("faceid_request_folder").strip()
        return Settings(
            face_device=setting("faceid_face_device"),
            only_approved=setting("faceid_only_approved"),
            requests=RequestPolicy(Path(folder) if folder else None, are_urls_allowed=setting("faceid_request_urls")),
        )

    def models(self) -> Models:
        """Return where its models come from."""
        return models_of(self)
