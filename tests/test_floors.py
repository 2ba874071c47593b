"""The architecture as a table: an import only goes down, and each third party has its own door."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = {  # a folder stands for the modules in it; what lies on one floor may know each other, but not in a circle
    0: "arguments bases console errors version whole_files",
    1: "units",
    2: "external models pictures",
    3: "encoders faces unet",
    4: "effects references",
    5: "journal likeness methods people",
    6: "diagnosis inventory",
    7: "jobs",
    8: "api hosts",
    9: "ui",
    10: "app batch evaluation miniature webui",
    11: "__main__ commands scripts",
}
DOORS = {  # third-party package (or host module): the only files that may import it
    "gradio": ["lib_faceid/ui/*.py", "lib_faceid/app/own_page*.py"],
    "fastapi": ["lib_faceid/api/api.py", "lib_faceid/hosts/webui/*.py"],
    "diffusers": ["lib_faceid/hosts/diffusers/*.py"],
    "insightface": [],
    "onnxruntime": ["lib_faceid/faces/analyser.py"],
    "cv2": [f"lib_faceid/faces/{name}.py" for name in ("crops", "hints", "keypoints")],
    "urllib.request": ["lib_faceid/models/official_hosts.py"],
    "http.client": [
        "lib_faceid/batch/address.py",
        "lib_faceid/models/download.py",
        "lib_faceid/models/official_hosts.py",
        "lib_faceid/pictures/public_web.py",
    ],
    "socket": ["lib_faceid/pictures/public_web.py"],
    "requests": [],
    "httpx": [],
    "huggingface_hub": [],
    "modules.ui_components": ["lib_faceid/hosts/webui/*.py", "lib_faceid/ui/units.py"],
    "modules": [*(f"lib_faceid/hosts/{host}/*.py" for host in ("webui", "a1111", "forge")), "lib_faceid/webui/*.py"],
    "modules_forge": [],
    "backend": ["lib_faceid/hosts/forge/*.py"],
}
FILES = sorted(path for folder in ("lib_faceid", "scripts") for path in (ROOT / folder).rglob("*.py"))
FLOOR_OF = {module: floor for floor, modules in FLOORS.items() for module in modules.split()}
FLOOR_OF["__init__"] = 12  # the facade: names from everywhere, imported when first used
LIBRARY = [path for path in FILES if path.is_relative_to(ROOT / "lib_faceid")]


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


@cache
def imports(path: Path) -> tuple[str, ...]:
    """The full names of everything a file imports, at its top or inside a function; relative ones begin with a dot."""
    found: list[str] = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [f"{'.' * node.level}{node.module}.{alias.name}" for alias in node.names]
    return tuple(found)


def our_imports(path: Path) -> set[str]:
    """The modules of ours that a file imports: `injection` for lib_faceid.effects.injection.inject."""
    ours = {name.split(".")[1] for name in imports(path) if name.startswith("lib_faceid.")}
    return ours - {module_at(path)}


def module_at(path: Path) -> str:
    """The key of the table that a file belongs to."""
    folder, *rest = path.relative_to(ROOT).with_suffix("").parts
    return rest[0] if folder == "lib_faceid" else folder


def test_no_import_is_relative() -> None:
    relative = [f"{shown(path)}: {name}" for path in FILES for name in imports(path) if name.startswith(".")]
    assert not relative, f"write `from lib_faceid...`: {relative}"


def test_everything_has_a_floor() -> None:
    unknown = {module for path in FILES for module in {module_at(path), *our_imports(path)}} - FLOOR_OF.keys()
    assert not unknown, f"give {unknown} a floor in the table above"


def test_imports_go_down() -> None:
    up = {
        shown(path): above
        for path in FILES
        if (above := {one for one in our_imports(path) if FLOOR_OF[one] > FLOOR_OF[module_at(path)]})
    }
    assert not up, f"these import from a floor above their own: {up}"


def test_no_import_goes_round() -> None:
    graph: dict[str, set[str]] = {}
    for path in FILES:
        graph.setdefault(module_at(path), set()).update(our_imports(path))
    TopologicalSorter(graph).prepare()


def test_each_third_party_has_its_door() -> None:
    wrong: list[str] = []
    for path in FILES:
        for name in imports(path):
            door = next((door for door in DOORS if f"{name}.".startswith(f"{door}.")), None)
            if door and not any(path.match(pattern) for pattern in DOORS[door]):
                wrong.append(f"{shown(path)}: {name} belongs in {DOORS[door]}")
    assert not wrong, "\n".join(wrong)


def test_public_names_are_declared() -> None:
    """Every function and class without an underscore is in `__all__`, and all that is there exists."""
    wrong = [line for path in LIBRARY for line in undeclared(path)]
    assert not wrong, "\n".join(wrong)


def undeclared(path: Path) -> list[str]:
    body = tree(path).body
    defined = {node.name for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    known = {*defined, *(name.rsplit(".")[-1] for name in imports(path))}
    declared: set[str] = set()
    for node in body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value:
            names = {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
            declared |= set(ast.literal_eval(node.value)) if "__all__" in names else set()
            known |= names
    missing = {name for name in defined if not name.startswith("_")} - declared
    lines = [f"{shown(path)}: add to __all__, or begin with an underscore: {missing}"] if missing else []
    absent = declared - known
    return [*lines, f"{shown(path)}: in __all__ and nowhere else: {absent}"] if absent else lines


@pytest.mark.parametrize("module", ["errors", "units.unit", "units.region", "units.weight_types", "units.infotext"])
def test_the_ground_floor_needs_nothing(module: str) -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import lib_faceid.{module}"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)


def test_importing_does_no_work() -> None:
    low = [path for path in FILES if FLOOR_OF[module_at(path)] <= 2]
    present = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in low]
    heavy = "{'cv2', 'diffusers', 'gradio', 'insightface', 'onnxruntime', 'transformers'}"
    code = f"import sys, {', '.join(present)}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
