"""For other extensions: see and change which people a job of the WebUI draws, before our own script runs.

    from lib_faceid import external  # inside a function: it can be found once all extensions are loaded

    def before_process(self, p, *args):
        units = external.get_units(p)
        if units:
            external.set_units(p, [dataclasses.replace(units[0], weight=0.5)])

Call it in `before_process`, or on a job of your own before it is processed: `process` is where the units are read. A
unit may also be a dict as in the HTTP API. What is set counts for that job alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lib_faceid.errors import FaceIDError, HostError, UnitError
from lib_faceid.units.script_args import units_from_args
from lib_faceid.units.unit import FIELDS, Unit

__all__ = ["API_VERSION", "TITLE", "FaceIDError", "Unit", "api_version", "find_script", "get_units", "set_units"]

TITLE = "IP-Adapter FaceID"
"""The script's title, and its key in `alwayson_scripts`."""
API_VERSION = 1
"""Goes up when something here or in the HTTP API stops working as it did."""


def api_version() -> int:
    """Return the version of this helper and of the HTTP API."""
    return API_VERSION


def find_script(p: Any) -> Any | None:
    """Return our script in a job's script runner; None where there is none."""
    scripts: Iterable[Any] = getattr(getattr(p, "scripts", None), "alwayson_scripts", None) or ()
    return next((script for script in scripts if _title(script) == TITLE.lower()), None)


def get_units(p: Any) -> list[Unit]:
    """Return the job's units, the inactive ones too; [] where our script does not take part.

    Raises UnitError, naming the unit, for settings that cannot be.
    """
    script = find_script(p)
    if script is None:
        return []
    return units_from_args(list(p.script_args or ())[script.args_from : script.args_to])


def set_units(p: Any, units: Sequence[Unit | Mapping[str, Any]]) -> None:
    """Put the units into the job, in place of all that were there; [] draws nobody.

    Raises UnitError for settings that cannot be and for more units than fit, and then changes nothing; HostError for
    a job without our script, or without arguments for it.
    """
    script = find_script(p)
    if script is None:
        raise HostError(
            f"This job has no script '{TITLE}'. Give it the WebUI's own runner, as scripts.scripts_txt2img."
        )
    args = list(p.script_args or ())
    if len(args) < script.args_to:
        raise HostError(
            f"This job has {len(args)} script arguments, {script.args_to} were expected. Fill them with the scripts' "
            "defaults before units are set."
        )
    places = script.args_to - script.args_from
    values = [_as_dict(number, unit) for number, unit in enumerate(units)] or [{"enabled": False}]
    if len(values) > places:
        raise UnitError(f"{len(values)} units were given, and at most {places} fit. Give fewer.")
    args[script.args_from : script.args_to] = values + [None] * (places - len(values))
    p.script_args = tuple(args) if isinstance(p.script_args, tuple) else args


def _as_dict(number: int, unit: Unit | Mapping[str, Any]) -> dict[str, Any]:
    """Return a unit as plain values, which schedulers can pickle and scripts can copy."""
    if not isinstance(unit, Unit):
        try:
            unit = Unit.from_dict(unit)
        except UnitError as error:
            raise UnitError(f"Unit {number}: {error}") from error
    photos = {name: getattr(unit, name) for name, field in FIELDS.items() if field.kind is list}
    plain = {name: [{"image": one.image, "weight": one.weight} for one in those] for name, those in photos.items()}
    return unit.to_dict() | plain


def _title(script: Any) -> str:
    """Return a script's title in lower case, as the WebUI compares them; a foreign one may have none, or fail."""
    title = getattr(script, "title", None)
    try:
        return str(title() if callable(title) else title).strip().lower()
    except Exception:  # noqa: BLE001 - somebody else's script, which is not the one looked for
        return ""
