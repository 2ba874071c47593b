"""Our page among the WebUI's settings, and what was set there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from modules import paths, shared

from lib_faceid.models.folders import Roots, usual_roots

__all__ = ["add_options", "roots", "setting"]

SECTION = ("faceid", "IP-Adapter FaceID")

# key -> (default, label, component, its arguments)
OPTIONS: dict[str, tuple[Any, str, str, dict[str, Any]]] = {
    "faceid_unit_count": (3, "Number of units (needs Reload UI)", "Slider", {"minimum": 1, "maximum": 10, "step": 1}),
    "faceid_on_failure": (
        "Stop",
        "If a person cannot be drawn",
        "Radio",
        {"choices": ["Stop", "Draw without the person"]},
    ),
    "faceid_score": (True, "Look at each finished picture: how alike are its people?", "Checkbox", {}),
    "faceid_write_hashes": (True, "Write short hashes of the photos into pictures, to find them again", "Checkbox", {}),
    "faceid_mark_pictures": (
        False,
        "Write into PNGs of people that a model made them (IPTC DigitalSourceType trainedAlgorithmicMedia)",
        "Checkbox",
        {},
    ),
    "faceid_sort_gallery": (False, "Sort the pictures of a job by likeness, the most alike first", "Checkbox", {}),
    "faceid_journal": (False, "Keep a journal of what was drawn (personal data: docs/JOURNAL.md)", "Checkbox", {}),
    "faceid_journal_thumbnails": (False, "Keep small pictures in the journal", "Checkbox", {}),
    "faceid_only_approved": (False, "Only approved people may be drawn", "Checkbox", {}),
    "faceid_face_device": ("cpu", "Face analysis device", "Radio", {"choices": ["cpu", "auto"]}),
    "faceid_models_folder": ("", "Another folder with adapters, face models and saved people", "Textbox", {}),
    "faceid_request_folder": (
        "",
        "Folder whose pictures API requests may name by path",
        "Textbox",
        {},
    ),
    "faceid_request_urls": (False, "API requests may name pictures by http(s) address", "Checkbox", {}),
    "faceid_comfyui_folder": ("", "Folder of ComfyUI, whose models are found too", "Textbox", {}),
}


def add_options(component: Callable[[str], type]) -> None:
    """Put our options on the settings page; `component` gives a kind of component by its name."""
    for key, (default, label, kind, arguments) in OPTIONS.items():
        shared.opts.add_option(key, shared.OptionInfo(default, label, component(kind), arguments, section=SECTION))


def setting(key: str) -> Any:
    """Return what is set; the default where the settings page has not been built (yet)."""
    return getattr(shared.opts, key, OPTIONS[key][0])


def roots() -> Roots:
    """Return the folders in which this WebUI's models lie."""
    data, models = Path(paths.data_path), Path(paths.models_path)
    comfyui = setting("faceid_comfyui_folder")
    own = setting("faceid_models_folder") or getattr(shared.cmd_opts, "faceid_models_dir", None)
    found = usual_roots(webui=data, webui_models=models, comfyui=Path(comfyui) if comfyui else None)
    return replace(found, models=(Path(own), *found.models)) if own else found
