"""What every host does alike for the page, given where its models are and which checkpoint is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

from lib_faceid.bases.base_model import BASE_LABELS
from lib_faceid.errors import HostError
from lib_faceid.faces.crops import ClipSees
from lib_faceid.hosts.host import Host
from lib_faceid.inventory.check import SetupReport, check_setup
from lib_faceid.inventory.text import diagnostics
from lib_faceid.jobs.choosing import Models, file_of
from lib_faceid.methods.loading import identify_adapter
from lib_faceid.methods.method import Variant
from lib_faceid.models.catalogue import entry
from lib_faceid.models.download import download
from lib_faceid.models.folders import Roots, find_adapters
from lib_faceid.models.licences import accept_licence
from lib_faceid.models.transfer import Report
from lib_faceid.people.library import People, Person, open_library
from lib_faceid.references.unit_identity import join_unit
from lib_faceid.ui.preview import Preview, preview
from lib_faceid.ui.services import Services, attempt
from lib_faceid.units.unit import AUTO, Unit

__all__ = ["services_for"]


def services_for(host: Host) -> Services:
    """Return the page's services, from what the host has."""
    roots, models = host.roots, host.models()

    def setup() -> SetupReport:
        return check_setup(roots(), host.base())

    def look(photo: str, face: str, sees: str) -> Preview:
        return preview(photo, models.face_analyser(), face, cast("ClipSees", sees))

    def fetch(name: str, report: Report, is_stopped: Callable[[], bool]) -> str:
        return str(download(entry(name), roots(), report, is_stopped))

    return Services(
        adapter_files=lambda: find_adapters(roots()),
        auto_means=lambda: _auto_means(setup()),
        variant_of=lambda name: _variant_of(name, setup, roots),
        look=look,
        people=lambda: open_library(roots()).names(),
        person_of=lambda references: _name_of(open_library(roots()).made_from(references)),
        save_person=lambda name, unit: _save_person(open_library(roots()), name, unit, models),
        setup=setup,
        diagnostics=lambda: diagnostics(setup()),
        accept_licence=lambda name: accept_licence(entry(name).licence, roots()),
        download=fetch,
        presets_file=_first_models(roots()) / "faceid" / "presets.json",
    )


def _auto_means(report: SetupReport) -> str:
    if not report.auto:
        raise HostError(report.problems[0] if report.problems else "FaceID has no adapter for the loaded checkpoint.")
    meanings = [
        f"{AUTO} for {BASE_LABELS[one.family]} is now "
        f"{f'{one.adapter.name}.' if one.adapter else 'nothing: no adapter can be used.'} {one.note}".strip()
        for one in report.auto
    ]
    if not any(one.adapter for one in report.auto):
        raise HostError(f"{' '.join(meanings)} Check setup, below, gets what is missing.")
    return " ".join(meanings)


def _variant_of(name: str, setup: Callable[[], SetupReport], roots: Callable[[], Roots]) -> Variant | None:
    if name != AUTO:
        return identify_adapter(file_of(name, find_adapters(roots()))).variant
    report = setup()
    chosen = next((one.adapter for one in report.auto if one.adapter), None) if report.family else None
    return identify_adapter(chosen).variant if chosen else None


def _name_of(person: Person | None) -> str:
    return person.name if person else ""


def _save_person(library: People, name: str, unit: Unit, models: Models) -> str:
    """Save who is in a unit's photos, with what the Plus variants read where CLIP ViT-H is here."""
    analyser = models.face_analyser()
    clip, without = attempt(models.clip_vision, "clip_vit_h")
    joined = join_unit(unit, analyser, clip)
    name = library.save(name, joined.identity, joined.record)
    plus = f" It will not do for the Plus variants: {without}" if without else ""
    return " ".join([f"Saved as '{name}'. Keep the file as private as a photo.{plus}", *joined.messages])


def _first_models(found: Roots) -> Path:
    return found.own
