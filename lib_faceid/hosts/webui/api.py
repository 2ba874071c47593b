"""What the WebUI gives our HTTP API, and what its settings allow requests to name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modules import sd_models

from lib_faceid.api.services import ApiServices
from lib_faceid.effects import bank
from lib_faceid.encoders import clip_vision
from lib_faceid.faces import analyser as faces
from lib_faceid.faces.packs import require_face_pack
from lib_faceid.hosts.webui.settings import roots, setting
from lib_faceid.inventory.check import SetupReport, check_setup
from lib_faceid.models.folders import find_adapters, require_clip_vision
from lib_faceid.models.own_settings import own_settings
from lib_faceid.people.approval import require_approved
from lib_faceid.people.library import open_library
from lib_faceid.pictures.requested import RequestPolicy
from lib_faceid.references import analysis
from lib_faceid.unet.layers import cross_attention_dim
from lib_faceid.units.unit import Unit

if TYPE_CHECKING:
    from lib_faceid.journal.journal import Journal

__all__ = [
    "GUARDED_ROUTE",
    "adapter_files",
    "api_services",
    "face_analyser",
    "image_encoder",
    "journal",
    "loaded_family",
    "request_policy",
    "require_allowed",
]

GUARDED_ROUTE = "/sdapi/v1/txt2img"
"""There only where the WebUI runs with --api. `--api-auth` guards its routes one by one: what guards this one guards
ours."""


def api_services() -> ApiServices:
    """Return what our routes ask this WebUI for."""
    return ApiServices(
        setup=_setup,
        face_analyser=face_analyser,
        clip_vision=image_encoder,
        people=lambda: open_library(roots()),
        policy=request_policy,
        unload=_unload,
        journal=journal,
        templates_folder=lambda: roots().own / "faceid" / "templates",
    )


def adapter_files() -> list[Path]:
    """Return the adapter files in the WebUI's usual folders."""
    return list(find_adapters(roots()))


def face_analyser() -> faces.FaceAnalyser:
    """Return the analyser of this WebUI's face models, on the device that its settings name."""
    return faces.load_face_analyser(
        require_face_pack(roots=roots()).detector.parent, device=setting("faceid_face_device")
    )


def image_encoder(encoder: str = "clip_vit_h") -> clip_vision.ClipVision:
    """Return one of this WebUI's image encoders."""
    return clip_vision.load_clip_vision(require_clip_vision(roots(), encoder), encoder=encoder)


def request_policy() -> RequestPolicy:
    """Return what the settings allow requests to name as a picture."""
    folder = setting("faceid_request_folder").strip()
    return RequestPolicy(Path(folder) if folder else None, are_urls_allowed=setting("faceid_request_urls"))


def journal() -> Journal:
    """Return the journal of this WebUI, whether or not it is kept."""
    from lib_faceid.journal.journal import open_journal

    return open_journal(roots())


def require_allowed(unit: Unit) -> None:
    """Raise FaceIDError for a unit whose person is not approved, where the settings ask for that."""
    if setting("faceid_only_approved") or own_settings(roots()).only_approved:
        require_approved(unit, open_library(roots()).path)


def loaded_family() -> int | None:
    """Return the cross attention dimension of the loaded checkpoint; None while none is loaded."""
    # Not `shared.sd_model`: asking for that would load a checkpoint.
    model = sd_models.model_data.sd_model
    return None if model is None else cross_attention_dim(model.model.diffusion_model)


def _setup() -> SetupReport:
    return check_setup(roots(), loaded_family())


def _unload() -> None:
    faces.unload()
    clip_vision.unload()
    analysis.forget_all()
    bank.forget_all()
