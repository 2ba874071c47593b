"""Keys of a batch's pictures: another one for whatever decides about a picture, and for nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from lib_faceid.app.recording import HOST
from lib_faceid.app.resources import Resources
from lib_faceid.batch.casts import Cast
from lib_faceid.batch.keys import Keys
from lib_faceid.batch.picture import Picture
from lib_faceid.faces.packs import require_face_pack
from lib_faceid.miniature import write_controlnet
from lib_faceid.models.folders import Roots
from lib_faceid.models.hashes import Hashes


def test_a_key_changes_with_whatever_decides_a_picture(tmp_path: Path) -> None:
    """Every file by its bytes and not by its name; nothing else."""
    folder = tmp_path / "models"
    for name in ("Stable-diffusion/one.safetensors", "faceid/a.safetensors", "faceid/faces/Anna.safetensors"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    photo = tmp_path / "p.jpg"
    photo.write_bytes(b"photo")
    cast = Cast("Anna", ({"person": "Anna"}, {"images": [[str(photo), 1.0]], "adapter": "a"}))
    first = Picture(2, 0, "x <faceid:Anna>", 1, cast, checkpoint="one")

    def key(picture: Picture = first, host: str = HOST, **more: Any) -> str:
        return Keys(Resources(Roots(models=(folder,)), **more), Hashes(), host).key(picture)

    before = key()
    assert before == key() == key(replace(first, row=9, cell=4, cast=replace(cast, label="other")))
    seen = {before, key(host="WebUI"), key(full_precision=True), key(marks=False)}
    for change in (
        {"seed": 2},
        {"prompt": "y"},
        {"steps": 3},
        {"cfg": 3.0},
        {"size": (64, 64)},
        {"options": {"best_of": 2}},
    ):
        seen.add(key(replace(first, **change)))
    assert len(seen) == 10
    for path in (photo, *sorted(folder.rglob("*.safetensors"))):
        plain = path.read_bytes()
        path.write_bytes(plain + b"!")
        seen.add(key())
        path.write_bytes(plain)
        assert key() == before
    assert len(seen) == 14
    (folder / "faceid" / "b.safetensors").write_bytes(b"new")
    assert key() != before, "Auto may choose it"
    named = replace(first, prompt="x", cast=Cast("p", (cast.units[1],)))
    with_b = key(named)
    (folder / "faceid" / "b.safetensors").unlink()
    assert key(named) == with_b, "a named adapter stays what it is"


def test_what_an_adapter_draws_with_beside_itself_counts(
    tmp_path: Path, face_models: Path, miniature_adapter: Callable[..., Path]
) -> None:
    """InstantID's IdentityNet, and the recogniser that it knows; neither for an adapter that has none."""
    folder, photo = tmp_path / "models", tmp_path / "p.jpg"
    photo.write_bytes(b"photo")
    (folder / "faceid").mkdir(parents=True)
    for variant in ("instantid", "faceid"):
        shutil.copy(miniature_adapter(variant, "sdxl"), folder / "faceid" / f"{variant}.safetensors")
    pack, packs = require_face_pack(face_models), folder / "insightface" / "models"
    shutil.copytree(face_models, packs / "buffalo_l")
    other = packs / "antelopev2"
    other.mkdir()
    shutil.copy(pack.detector, other / "scrfd_10g_bnkps.onnx")

    def keys(*variants: str) -> list[str]:
        maker = Keys(Resources(Roots(models=(folder,))), Hashes())
        casts = (Cast("p", ({"images": [[str(photo), 1.0]], "adapter": one},)) for one in variants)
        return [maker.key(Picture(2, 0, "x", 1, one, checkpoint="one")) for one in casts]

    instantid, faceid = keys("instantid", "faceid")
    write_controlnet(folder / "faceid" / "identitynet.safetensors", "sdxl")
    with_net, same = keys("instantid", "faceid")
    assert (with_net != instantid, same) == (True, faceid)
    write_controlnet(folder / "faceid" / "identitynet.safetensors", "sdxl", seed=1)
    with_other_net, same = keys("instantid", "faceid")
    assert (with_other_net not in (instantid, with_net), same) == (True, faceid)
    shutil.copy(pack.recogniser, other / "glintr100.onnx")
    with_recogniser, same = keys("instantid", "faceid")
    assert (with_recogniser != with_other_net, same) == (True, faceid)
