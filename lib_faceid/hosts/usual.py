"""What jobs and the HTTP API ask of any host that has its models in the usual folders: made of its `Host` alone."""

from __future__ import annotations

from lib_faceid.api.services import ApiServices
from lib_faceid.effects import bank
from lib_faceid.encoders import clip_vision
from lib_faceid.faces import analyser as faces
from lib_faceid.faces.packs import require_face_pack
from lib_faceid.hosts.host import Host
from lib_faceid.inventory.check import check_setup
from lib_faceid.jobs.choosing import Models
from lib_faceid.models.folders import find_adapters, require_clip_vision
from lib_faceid.models.hashes import own_hashes
from lib_faceid.models.own_settings import own_settings
from lib_faceid.people.approval import require_approved
from lib_faceid.people.library import open_library
from lib_faceid.references import analysis
from lib_faceid.units.unit import Unit

__all__ = ["api_services_of", "models_of"]


def models_of(host: Host) -> Models:
    """Return where a host's models come from: its folders, on the device and under the rules that are set in it."""

    def face_analyser(recogniser: str = "") -> faces.FaceAnalyser:
        folder = require_face_pack(roots=host.roots(), recogniser=recogniser).detector.parent
        return faces.load_face_analyser(folder, device=host.settings().face_device)

    def image_encoder(encoder: str) -> clip_vision.ClipVision:
        return clip_vision.load_clip_vision(require_clip_vision(host.roots(), encoder), encoder=encoder)

    def allow(unit: Unit) -> None:
        if host.settings().only_approved or own_settings(host.roots()).only_approved:
            require_approved(unit, open_library(host.roots()).path)

    return Models(
        adapter_files=lambda: list(find_adapters(host.roots())),
        face_analyser=face_analyser,
        clip_vision=image_encoder,
        person=lambda name: open_library(host.roots()).load(name).identity,
        policy=lambda: host.settings().requests,
        allow=allow,
        analyser_of=face_analyser,
        file_hash=lambda path: own_hashes(host.roots()).of(path),
        host=host.name,
        carries=host.carries,
    )


def api_services_of(host: Host) -> ApiServices:
    """Return what our routes ask a host for."""
    from lib_faceid.journal.journal import open_journal

    models = host.models()
    return ApiServices(
        setup=lambda: check_setup(host.roots(), host.base()),
        face_analyser=models.face_analyser,
        clip_vision=models.clip_vision,
        people=lambda: open_library(host.roots()),
        policy=models.policy,
        unload=_unload,
        journal=lambda: open_journal(host.roots()),
        templates_folder=lambda: host.roots().own / "faceid" / "templates",
    )


def _unload() -> None:
    faces.unload()
    clip_vision.unload()
    analysis.forget_all()
    bank.forget_all()
