"""IP-Adapter FaceID: a photo of a face decides who is in the picture.

The engine in ten lines, for any `ldm`, `sgm` or diffusers UNet:

    adapter = load_adapter("ip-adapter-faceid_sd15.bin")
    person = identity_from_photos(["me.jpg"])
    with merge_lora(unet, adapter, 0.6), inject(unet, [Contribution(adapter.tokens([person]))]) as injection:
        injection.set_rows([0, 1])  # of each batch, row 0 is uncond and row 1 is this person
        noise = unet(latents, timestep, context)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lib_faceid.diagnosis.facts import Facts, UnitFacts
    from lib_faceid.diagnosis.map import Diagnosis, diagnose
    from lib_faceid.effects.contribution import Contribution
    from lib_faceid.effects.injection import Injection, inject
    from lib_faceid.effects.lora import merge_lora
    from lib_faceid.effects.schedule import Schedule
    from lib_faceid.encoders.clip_vision import ClipVision, load_clip_vision
    from lib_faceid.errors import FaceIDError
    from lib_faceid.faces.analyser import Face, FaceAnalyser, load_face_analyser
    from lib_faceid.faces.report import PhotoReport
    from lib_faceid.likeness.judging import Expected, judge
    from lib_faceid.likeness.score import PictureScore, UnitScore
    from lib_faceid.methods.adapter import Adapter
    from lib_faceid.methods.loading import load_adapter
    from lib_faceid.methods.method import Method, Variant
    from lib_faceid.methods.registry import METHODS, variants
    from lib_faceid.people.library import People
    from lib_faceid.pictures.photo import read_photo
    from lib_faceid.references.identity import Identity
    from lib_faceid.references.joining import Joined, Look, identity_from_photos, join_photos
    from lib_faceid.references.negative import Negative
    from lib_faceid.references.reference import Reference
    from lib_faceid.units.unit import Unit

__all__ = [
    "METHODS",
    "Adapter",
    "ClipVision",
    "Contribution",
    "Diagnosis",
    "Expected",
    "Face",
    "FaceAnalyser",
    "FaceIDError",
    "Facts",
    "Identity",
    "Injection",
    "Joined",
    "Look",
    "Method",
    "Negative",
    "People",
    "PhotoReport",
    "PictureScore",
    "Reference",
    "Schedule",
    "Unit",
    "UnitFacts",
    "UnitScore",
    "Variant",
    "diagnose",
    "identity_from_photos",
    "inject",
    "join_photos",
    "judge",
    "load_adapter",
    "load_clip_vision",
    "load_face_analyser",
    "merge_lora",
    "read_photo",
    "variants",
]

_MODULES = {
    "diagnosis.facts": ("Facts", "UnitFacts"),
    "diagnosis.map": ("Diagnosis", "diagnose"),
    "likeness.judging": ("Expected", "judge"),
    "likeness.score": ("PictureScore", "UnitScore"),
    "methods.adapter": ("Adapter",),
    "methods.loading": ("load_adapter",),
    "effects.schedule": ("Schedule",),
    "methods.method": ("Method", "Variant"),
    "methods.registry": ("METHODS", "variants"),
    "references.negative": ("Negative",),
    "references.reference": ("Reference",),
    "encoders.clip_vision": ("ClipVision", "load_clip_vision"),
    "errors": ("FaceIDError",),
    "faces.analyser": ("Face", "FaceAnalyser", "load_face_analyser"),
    "faces.report": ("PhotoReport",),
    "references.identity": ("Identity",),
    "people.library": ("People",),
    "references.joining": ("Joined", "Look", "identity_from_photos", "join_photos"),
    "pictures.photo": ("read_photo",),
    "effects.contribution": ("Contribution",),
    "effects.injection": ("Injection", "inject"),
    "effects.lora": ("merge_lora",),
    "units.unit": ("Unit",),
    "version": ("__version__",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `import lib_faceid` alone costs nothing and needs nothing."""
    if name not in _HOME:
        raise AttributeError(f"module 'lib_faceid' has no attribute '{name}'")
    return getattr(import_module(f"lib_faceid.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names, for `help`, and for whoever presses Tab."""
    return sorted({*globals(), *__all__})
