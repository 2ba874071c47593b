"""What README and docs say is run here, and what they list is compared with the code."""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from shutil import copy
from typing import Any

import pytest
import torch
from PIL import Image

from lib_faceid.external import TITLE
from lib_faceid.hosts.diffusers.checkpoint import load_parts
from lib_faceid.methods.method import Variant
from lib_faceid.methods.registry import methods_for
from lib_faceid.miniature.trained import TRAINED_ADAPTER, shipped_mb
from lib_faceid.models.catalogue import catalogue
from lib_faceid.units.job_options import OPTIONS
from lib_faceid.units.presets import BUILT_IN, PRESET_FIELDS
from lib_faceid.units.unit import FIELDS, Field, Picture, Range, Unit

PROJECT = Path(__file__).resolve().parent.parent
README, DOCS = PROJECT / "README.md", PROJECT / "docs"
MODELS, SETTINGS, WITHOUT_A_WEBUI = DOCS / "MODELS.md", DOCS / "SETTINGS.md", DOCS / "WITHOUT_A_WEBUI.md"
MAX_WORDS = 1200  # as wc counts them


def variant_table() -> str:
    """The variants."""
    head = "| variant | id | for | the identity vector | also reads | face structure |\n|---|---|---|---|---|---|\n"
    return head + "".join(
        _row(*_variant_cells(variant)) for method in methods_for("person") for variant in method.variants
    )


def fields_table() -> str:
    """The unit's settings."""
    head = "| setting | field | value | default | what it does |\n|---|---|---|---|---|\n"
    return head + "".join(
        _row(field.label, f"`{name}`", _kind(name), _default(name), field.help) for name, field in FIELDS.items()
    )


def job_options_table() -> str:
    """What is set for a job as a whole."""
    head = "| setting | option | value | default | what it does |\n|---|---|---|---|---|\n"
    return head + "".join(
        _row(option.label, f"`{name}`", _kind(name, OPTIONS), _default(name, OPTIONS), option.help)
        for name, option in OPTIONS.items()
    )


def presets_table() -> str:
    """The presets that come with the extension."""
    head = _row("preset", *(FIELDS[name].label for name in PRESET_FIELDS)) + "|---" * (len(PRESET_FIELDS) + 1) + "|\n"
    return head + "".join(
        _row(name, *(f"{preset[field]:g}" for field in PRESET_FIELDS)) for name, preset in BUILT_IN.items()
    )


def options_table() -> str:
    """The extension's own settings; read from the source, which imports the WebUI."""
    tree = ast.parse((PROJECT / "lib_faceid" / "hosts" / "webui" / "settings.py").read_text("utf-8"))
    options: dict[str, tuple[Any, ...]] = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "OPTIONS"
        if node.value is not None
    )
    words = {True: "yes", False: "no", "": "none"}
    head = "| setting | default |\n|---|---|\n"
    return head + "".join(_row(label, str(words.get(default, default))) for default, label, *_ in options.values())


TABLES = {
    "variants": (MODELS, "variants: generated from lib_faceid/methods", variant_table),
    "fields": (SETTINGS, "fields: generated from lib_faceid/units/unit.py", fields_table),
    "job": (SETTINGS, "job: generated from lib_faceid/units/job_options.py", job_options_table),
    "presets": (SETTINGS, "presets: generated from lib_faceid/units/presets.py", presets_table),
    "options": (SETTINGS, "options: generated from lib_faceid/hosts/webui/settings.py", options_table),
}


def _variant_cells(variant: Variant) -> tuple[str, ...]:
    return (
        variant.label,
        f"`{variant.id}`",
        variant.base_labels,
        "none" if not variant.reads_face else "unit length" if variant.reads[0].unit_length else "raw",
        "CLIP ViT-H of the aligned face" if variant.encoders else "the whole photo" if variant.trigger else "",
        "yes" if "structure" in variant.settings else "",
    )


def _kind(name: str, fields: Mapping[str, Field] = FIELDS) -> str:
    kind = fields[name].kind
    if isinstance(kind, Range):
        return f"{kind.lowest:g} to {kind.highest:g}"
    if isinstance(kind, tuple):
        return ", ".join(f"`{choice}`" for choice in kind)
    return {bool: "true, false", str: "text", list: "one photo or up to 20", Picture: "a picture"}[kind]


def _default(name: str, fields: Mapping[str, Field] = FIELDS) -> str:
    default = fields[name].default
    if name == "enabled":
        return "true, if there is a photo or person"
    return "none" if default in ("", (), None) else f"`{default}`"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_those_of_the_code(name: str) -> None:
    """With FACEID_WRITE_README=1 the table is put there instead."""
    path, mark, table = TABLES[name]
    text = path.read_text(encoding="utf-8")
    before, rest = text.split(f"<!-- {mark} -->\n")
    found, after = rest.split(f"<!-- /{name} -->", 1)
    if os.environ.get("FACEID_WRITE_README"):
        path.write_text(f"{before}<!-- {mark} -->\n{table()}<!-- /{name} -->{after}", encoding="utf-8")
    else:
        assert found == table()


def test_the_readme_is_short_and_begins_with_pictures_and_two_commands() -> None:
    text = README.read_text("utf-8")
    assert len(text.split()) < MAX_WORDS
    screen = text.split("\n## ")[0]
    assert "(docs/images/likeness.png)" in screen
    assert re.findall(r"^python3 dev\.py (\w+)", screen, re.MULTILINE) == ["ui", "demo"]
    assert not re.search(r"(?<![\w`])python dev\.py", text), "on Debian and macOS it is python3"


@pytest.mark.parametrize("page", [README, MODELS], ids=lambda page: page.name)
def test_sizes_are_those_of_the_files(page: Path) -> None:
    """The catalogue's; what it knows a file by, a row names, or the address that it comes from."""
    known = {name: one for one in catalogue() for name in (one.file_name, one.id, *(m.name for m in one.members))}
    known |= {"CLIP ViT-H": known["clip_vit_h"], "CLIP ViT-bigG": known["clip_vit_bigg"]}
    rows = re.findall(r"^\|(.*)\| ([\d.]+ [MG]B) \|", page.read_text("utf-8"), re.MULTILINE)
    assert len(rows) >= 4
    for named, size in rows:
        one = next(one for name, one in known.items() if name in named)
        assert size == (f"{one.about_mb} MB" if one.about_mb < 1000 else f"{one.about_mb / 1000:.2f} GB"), named


def test_the_miniature_is_as_large_as_said() -> None:
    assert f"{shipped_mb()} MB" in README.read_text("utf-8")
    assert shipped_mb() == round(sum(path.stat().st_size for path in TRAINED_ADAPTER.parent.iterdir()) / 1e6)


def test_the_request_of_the_readme_is_one() -> None:
    """tests/webui sends it to a real WebUI."""
    (body,) = re.findall(r"printf '(\{.*?\})' \"", README.read_text(encoding="utf-8"), re.DOTALL)
    (values,) = json.loads(body % "aGVsbG8=")["alwayson_scripts"][TITLE]["args"]
    (photo,) = Unit.from_dict(values).images
    assert photo.image == "aGVsbG8="


def test_links_lead_somewhere() -> None:
    """To a file, and where a heading is named, to one that is there."""
    for page in (README, *DOCS.glob("*.md")):
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
            if "://" in link:
                continue
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            assert target.exists(), (page.name, link)
            assert not anchor or anchor in _anchors(target), (page.name, link)


def _anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links, as GitHub makes it."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_ten_lines_of_python_run(
    data_folder: Path,
    face_models: Path,
    miniature_checkpoint: Callable[[str], Path],
    miniature_adapter: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", WITHOUT_A_WEBUI.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACEID_FACE_MODELS", str(face_models))
    Image.open(data_folder / "photos" / "astronaut.png").convert("RGB").save("me.jpg")
    copy(miniature_adapter("faceid", "sd15"), "ip-adapter-faceid_sd15.safetensors")
    unet = load_parts(miniature_checkpoint("sd15")).modules["unet"]
    torch.manual_seed(0)
    names: dict[str, Any] = {
        "unet": unet,
        "latents": torch.randn(2, 4, 16, 16),
        "timestep": torch.tensor(500),
        "context": torch.randn(2, 77, 768),
    }
    with torch.no_grad():
        plain = unet(names["latents"], names["timestep"], names["context"]).sample
        exec(code, names)  # noqa: S102 - our own README
        after = unet(names["latents"], names["timestep"], names["context"]).sample
    assert (names["noise"].sample - plain).abs().amax(dim=(1, 2, 3)).min() > 0.01
    assert torch.equal(after, plain)
