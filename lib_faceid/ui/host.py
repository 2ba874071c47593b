"""What every host does alike for the page, given where its models are and which checkpoint is loaded."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import cast

from lib_faceid.bases.base_model import BASE_LABELS
from lib_faceid.encoders.crops import Crop
from lib_faceid.encoders.features import CLIP_H_HIDDEN
from lib_faceid.errors import FaceIDError, HostError, WrongFamilyError
from lib_faceid.faces.crops import ClipSees
from lib_faceid.hosts.host import Host
from lib_faceid.inventory.check import SetupReport, check_setup
from lib_faceid.inventory.measured import measurements
from lib_faceid.inventory.text import diagnostics
from lib_faceid.jobs.choosing import Models, file_of
from lib_faceid.jobs.reading import analyser_of_unit
from lib_faceid.jobs.saving import image_to_save
from lib_faceid.methods.loading import identify_adapter
from lib_faceid.methods.method import Variant
from lib_faceid.methods.registry import methods_for, named_by_user, readers
from lib_faceid.models.catalogue import entry
from lib_faceid.models.download import download
from lib_faceid.models.folders import Roots, find_adapters
from lib_faceid.models.licences import accept_licence
from lib_faceid.models.transfer import Report
from lib_faceid.people.library import People, Person, open_library
from lib_faceid.references.unit_identity import join_unit
from lib_faceid.ui.preview import Preview, View, preview, preview_image
from lib_faceid.ui.services import Foreseen, Known, Services, attempt
from lib_faceid.units.tags import tag_for
from lib_faceid.units.unit import AUTO, Purpose, Unit

__all__ = ["services_for"]


def services_for(host: Host) -> Services:
    """Return the page's services, from what the host has."""
    roots, models = host.roots, host.models()

    def setup() -> SetupReport:
        return check_setup(roots(), host.base())

    def look(photo: str, view: View) -> Preview:
        if view.purpose == "image":
            crop = "square" if view.image_crop == AUTO else view.image_crop
            return preview_image(photo, cast("Crop", crop), models.face_analyser)
        return preview(photo, models.face_analyser(), view.face, cast("ClipSees", view.clip_crop))

    def variant_of(name: str, purpose: Purpose) -> Variant | None:
        return _variant_of(name, purpose, setup, roots)

    def fetch(name: str, report: Report, is_stopped: Callable[[], bool]) -> str:
        return str(download(entry(name), roots(), report, is_stopped))

    return Services(
        adapter_files=lambda: find_adapters(roots()),
        adapters_for=lambda purpose: [path for path in find_adapters(roots()) if _is_for(path, purpose)],
        auto_means=lambda purpose: _auto_means(setup(), purpose),
        variant_of=variant_of,
        foresee=lambda name, variant, purpose: _foreseen(name, variant, purpose, setup, roots),
        look=look,
        image_crop_of=lambda view: _crop_of(view, variant_of),
        saved=lambda purpose: open_library(roots()).names(purpose),
        saved_of=lambda references, purpose: _name_of(open_library(roots()).made_from(references, purpose)),
        known_of=lambda name: _known_of(open_library(roots()), name),
        save=lambda name, unit: _SAVERS[unit.purpose](open_library(roots()), name, unit, models),
        setup=setup,
        measured=lambda: measurements(roots()),
        diagnostics=lambda: diagnostics(setup()),
        accept_licence=lambda name: accept_licence(entry(name).licence, roots()),
        download=fetch,
        presets_file=_first_models(roots()) / "faceid" / "presets.json",
        templates_folder=_first_models(roots()) / "faceid" / "templates",
    )


def _crop_of(view: View, variant_of: Callable[[str, Purpose], Variant | None]) -> Crop:
    """Return what of an image its unit's adapter will see; the centre square where that adapter is not known."""
    if view.image_crop != AUTO:
        return cast("Crop", view.image_crop)
    if view.variant != AUTO:
        return named_by_user(view.variant).crop
    found, _ = attempt(variant_of, view.adapter, "image")
    return found.crop if found else "square"


def _is_for(path: Path, purpose: Purpose) -> bool:
    """Say whether a file's adapter reads a reference for a purpose; also so where the file is a damaged adapter's."""
    try:
        return identify_adapter(path).purpose == purpose
    except WrongFamilyError:
        return False
    except FaceIDError:
        return any(method.is_named_in(path.name) for method in methods_for(purpose))


def _auto_means(report: SetupReport, purpose: Purpose) -> str:
    autos = report.auto_for(purpose)
    if not autos:
        raise HostError(report.problems[0] if report.problems else "There is no adapter for the loaded checkpoint.")
    meanings = [
        f"{AUTO} for {BASE_LABELS[one.family]} is now "
        f"{f'{one.adapter.name}.' if one.adapter else 'nothing: no adapter can be used.'} {one.note}".strip()
        for one in autos
    ]
    if not any(one.adapter for one in autos):
        raise HostError(f"{' '.join(meanings)} Check setup, below, says where to get what is missing.")
    return " ".join(meanings)


def _variant_of(
    name: str, purpose: Purpose, setup: Callable[[], SetupReport], roots: Callable[[], Roots]
) -> Variant | None:
    if name != AUTO:
        return identify_adapter(file_of(name, find_adapters(roots()))).variant
    report = setup()
    chosen = next((one.adapter for one in report.auto_for(purpose) if one.adapter), None) if report.family else None
    return identify_adapter(chosen).variant if chosen else None


def _foreseen(
    name: str, variant: str, purpose: Purpose, setup: Callable[[], SetupReport], roots: Callable[[], Roots]
) -> Foreseen:
    note = ""
    if name == AUTO:
        auto = next((one for one in setup().auto_for(purpose) if one.adapter), None)
        if auto is None or auto.adapter is None:
            raise HostError(_auto_means(setup(), purpose))
        path, note = auto.adapter, auto.note
    else:
        path = file_of(name, find_adapters(roots()))
    adapter = identify_adapter(path, None if variant == AUTO else variant)
    own = adapter.variant.requires_recogniser
    return Foreseen(adapter.name, adapter.variant.label, adapter.recogniser, note or adapter.assumed, own)


def _name_of(person: Person | None) -> str:
    return person.name if person else ""


def _known_of(library: People, name: str) -> Known:
    person, day = library.load(name), datetime.fromtimestamp(library.path(name).stat().st_mtime).astimezone()
    scores = [photo.report.score for photo in person.record.photos if photo.report]
    number, recogniser = person.identity.num_pictures, getattr(person.identity, "recogniser", "")
    return Known(max(len(person.record.photos), number), scores, day.date().isoformat(), recogniser)


def _save_person(library: People, name: str, unit: Unit, models: Models) -> tuple[str, str]:
    """Save who is in a unit's photos, with CLIP features where the encoder is here."""
    analyser = analyser_of_unit(unit, models)
    clip, without = attempt(models.clip_vision, CLIP_H_HIDDEN.encoder)
    joined = join_unit(unit, analyser, clip)
    name = library.save(name, joined.identity, joined.record)
    lacking = [f"It will not do for {readers(CLIP_H_HIDDEN.encoder, 'person')}: {without}"] if without else []
    return f"Saved as '{name}'. Keep the file as private as a photo.", " ".join([*lacking, *joined.messages])


def _save_image(library: People, name: str, unit: Unit, models: Models) -> tuple[str, str]:
    """Save what the image encoders that are here make of a unit's images."""
    joined = image_to_save(unit, models)
    name = library.save(name, joined.identity, joined.record)
    saved = f"Saved as '{name}'. A prompt calls it with {tag_for(name, purpose='image')}."
    return saved, " ".join(joined.messages)


_SAVERS = {"person": _save_person, "image": _save_image}


def _first_models(found: Roots) -> Path:
    return found.own
