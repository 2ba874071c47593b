"""What README says is run here, and what it lists is compared with the code."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from shutil import copy
from typing import Any

import pytest
import torch
from PIL import Image

from lib_faceid.adapters.variants import VARIANTS, Variant, families_of
from lib_faceid.hosts.diffusers_checkpoint import load_parts
from lib_faceid.unit import FIELDS, Field, Range, Unit

README = Path(__file__).resolve().parent.parent / "README.md"


def variant_table() -> str:
    """The variants, as README lists them."""
    head = "| variant | id | for | the identity vector | also reads | face structure |\n|---|---|---|---|---|---|\n"
    return head + "".join(_row(*_variant_cells(variant)) for variant in VARIANTS)


def settings_table() -> str:
    """The unit's fields, as README lists them."""
    head = "| setting | API | range | default | what it does |\n|---|---|---|---|---|\n"
    return head + "".join(_row(*_field_cells(field)) for field in FIELDS.values())


TABLES = {
    ("<!-- variants: generated from lib_faceid/adapters/variants.py -->\n", "<!-- /variants -->"): variant_table,
    ("<!-- settings: generated from lib_faceid/unit.py -->\n", "<!-- /settings -->"): settings_table,
}


def _variant_cells(variant: Variant) -> tuple[str, ...]:
    return (
        variant.label,
        f"`{variant.id}`",
        families_of(variant),
        "raw" if variant.raw_embedding else "unit length",
        "CLIP ViT-H of the aligned face" if variant.needs_clip else "",
        "yes" if variant.shortcut else "",
    )


def _field_cells(field: Field) -> tuple[str, ...]:
    allowed = field.kind
    if isinstance(allowed, Range):
        values = f"{allowed.lowest:g} to {allowed.highest:g}"
    else:
        values = ", ".join(allowed) if isinstance(allowed, tuple) else ""
    default = f"{field.default:g}" if isinstance(field.default, float) else str(field.default or "")
    return (field.label, f"`{field.name}`", values, default, field.help)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |\n"


@pytest.mark.parametrize(("marks", "table"), TABLES.items(), ids=["variants", "settings"])
def test_tables_are_those_of_the_code(marks: tuple[str, str], table: Callable[[], str]) -> None:
    """With FACEID_WRITE_README=1 the table is put there instead."""
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(marks[0])
    found, after = rest.split(marks[1])
    if os.environ.get("FACEID_WRITE_README"):
        README.write_text(before + marks[0] + table() + marks[1] + after, encoding="utf-8")
    else:
        assert found == table()


def test_the_api_section_names_every_field() -> None:
    (line,) = re.findall(r"^Every field is optional: (.*)", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert re.findall(r"`(\w+)`", line.split(". ")[0]) == list(Unit().to_dict())


def test_the_ten_lines_of_python_run(
    data_folder: Path,
    face_models: Path,
    miniature_checkpoint: Callable[[str], Path],
    miniature_adapter: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
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
