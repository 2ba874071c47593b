"""Files are written whole or not at all."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from lib_faceid.whole_files import write_json, write_whole


def test_a_file_is_replaced_and_nothing_is_left_over(tmp_path: Path) -> None:
    file = tmp_path / "one.bin"
    for content in (b"first\r\n", b"second\n"):
        write_whole(file, content)
        assert file.read_bytes() == content
    assert list(tmp_path.iterdir()) == [file]


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "one.bin"
    write_whole(file, b"old")

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="No space"):
        write_whole(file, b"new")
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("one.bin", b"old")]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
@pytest.mark.parametrize(("is_private", "mode"), [(True, 0o600), (False, 0o640)])
def test_who_may_read_it(tmp_path: Path, *, is_private: bool, mode: int) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "one", b"", is_private=is_private)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == mode


def test_a_name_of_any_length_can_be_written(tmp_path: Path) -> None:
    file = tmp_path / f"{'ö' * 120}.safetensors"
    write_whole(file, b"1")
    assert file.read_bytes() == b"1"


def test_json_is_written_where_there_was_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b.json"
    write_json(file, {"name": "Zoë"})
    assert (json.loads(file.read_text("utf-8")), "Zoë" in file.read_text("utf-8")) == ({"name": "Zoë"}, False)
    write_json(file, {"name": "Zoë"}, ensure_ascii=False)
    assert file.read_text("utf-8") == '{\n  "name": "Zoë"\n}\n'
