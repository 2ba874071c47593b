"""The command line on any console: no letter ends a run, usage errors are two lines, outputs are tried first."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from unets import identity_of

from lib_faceid import __version__, console
from lib_faceid.commands.cli import main
from lib_faceid.commands.outputs import require_file, require_folder
from lib_faceid.errors import FileError, UnitError
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.people.library import People

PROJECT = Path(__file__).resolve().parent.parent
CODE_PAGES = ("ascii", "cp1252", "cp932", "cp437", "utf-8")
NAMES = ("你好", "Zoë", "Ωμέγα 😀")


@pytest.fixture(autouse=True)
def a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("FACEID_MODELS", "FACEID_FACE_MODELS", "FACEID_CLIP_VISION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    for number, name in enumerate(NAMES):
        People(tmp_path / "faces").save(name, identity_of(number))
    return tmp_path / "faces"


def run(*arguments: str | bytes, encoding: str = "", **more: str) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONUTF8": "0", **more}
    environment |= {"PYTHONIOENCODING": encoding} if encoding else {}
    return subprocess.run(
        [sys.executable, "-m", "lib_faceid", *arguments], env=environment, capture_output=True, check=False
    )


def usage_error(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    first, second, *rest = said.splitlines()
    assert not rest
    assert first.startswith("Error: ")
    assert second.startswith("Every option is listed by: python -m lib_faceid")
    return first.removeprefix("Error: ")


@pytest.mark.parametrize("encoding", CODE_PAGES)
def test_everybody_is_listed_on_every_code_page(library: Path, encoding: str) -> None:
    done = run("face", "list", "--faces", str(library), encoding=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode(encoding).splitlines()
    assert len(lines) == len(NAMES)
    for name in NAMES:
        shown = name.encode(encoding, "backslashreplace").decode(encoding)
        assert any(line.startswith(f"{shown}: 1 face") for line in lines)


@pytest.mark.parametrize("encoding", CODE_PAGES)
def test_errors_and_help_are_said_on_every_code_page(library: Path, encoding: str) -> None:
    gone = run("face", "show", "Ünal", "--faces", str(library), encoding=encoding)
    assert (gone.returncode, gone.stdout) == (2, b"")
    assert gone.stderr.decode(encoding).startswith("Error: There is no saved person")
    usage = run("generate", "--größe", "1", encoding=encoding)
    assert (usage.returncode, usage.stderr.count(b"\n")) == (2, 2)
    for command in ("generate", "face", "models", "ui"):
        assert run(command, "--help", encoding=encoding).returncode == 0


@pytest.mark.skipif(os.name == "nt", reason="arguments are no bytes there")
def test_arguments_that_are_no_utf8(tmp_path: Path, library: Path) -> None:
    refused = run("generate", "--prompt", b"caf\xe9")
    assert (refused.returncode, refused.stderr.count(b"\n")) == (2, 2)
    assert b"--prompt: 'caf\\udce9' holds bytes that are no UTF-8 text" in refused.stderr
    assert b"no UTF-8 text" in run("face", "save", b"caf\xe9", "x.png").stderr
    (tmp_path.joinpath(os.fsdecode(b"caf\xe9.safetensors"))).write_bytes((library / "Zoë.safetensors").read_bytes())
    alike = run("face", "compare", b"caf\xe9.safetensors", "Zoë", "--faces", str(library))
    assert (alike.returncode, alike.stdout) == (0, b"1.000 (alike)\n"), alike.stderr
    old = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}
    saved = run("face", "save", "Zoë", str(library / "Zoë.safetensors"), "--faces", str(tmp_path / "other"), **old)
    assert (saved.returncode, saved.stdout) == (2, b"")
    assert b"Error: '\\xeb' has no place in ascii. Set PYTHONUTF8=1 and try again.\n" in saved.stderr
    old |= {"PYTHONUTF8": "1"}
    shown = run("face", "show", "Zoë", "--json", "--faces", str(library), **old)
    assert json.loads(shown.stdout)["name"] == "Zoë"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_an_output_that_cannot_be_written_is_no_success(library: Path) -> None:
    command = [sys.executable, "-m", "lib_faceid", "face", "list", "--faces", str(library)]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, env=environment, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2
    assert re.match(rb"Error: .*output cannot be (written|used) \(No space left", done.stderr), done.stderr
    assert b"Traceback" not in done.stderr
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as nobody:
        done = subprocess.run(command, env=environment, stdout=nobody, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_sentence_in_another_programs_console(capsys: pytest.CaptureFixture[str]) -> None:
    class CodePage:
        encoding = "cp932"

    assert console.printable("FaceID 0: müde · 你好", CodePage()) == "FaceID 0: m\\xfcde \\xb7 \\u4f60好"
    console.say("FaceID 0 · 你好")
    assert capsys.readouterr().out == "FaceID 0 · 你好\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("generate --promt x", "There is no option '--promt'; did you mean --prompt?"),
        ("generate --prompt x --wieght 1", "There is no option '--wieght'; did you mean --weight?"),
        ("models --diagnostic --famly sd15", "did you mean --family?"),
        ("face report a.png --sheets s.png", "did you mean --sheet?"),
        ("face list --yaml", "There is no option '--yaml' here."),
        ("face list x", "'x' is one argument too many"),
        ("--prompt x generate", "There is no option '--prompt'"),
        ("generat --prompt x", "COMMAND is 'generat'; did you mean generate?"),
        ("face shwo Anna", "did you mean show?"),
        ("face save Anna a.png --combine mean", "--combine is 'mean'; did you mean median? One of average, median"),
        ("generate", "the following arguments are required: --prompt"),
        ("generate --prompt x --negative -bad", "--option=-value"),
        ("generate --p x", "ambiguous option: --p could match --photo"),
        ("generate --prompt x --seed 18446744073709551616", "not a whole number from -1 to 18446744073709551615"),
        ("generate --prompt x --seed -2", "'-2' is not a whole number"),
        ("generate --prompt x --seed 1.5", "'1.5' is not a whole number"),
        ("generate --prompt x --seed ٣", "is not a whole number"),
        ("generate --prompt x --cfg nan", "'nan' is not a number from 0 to 100"),
        ("generate --prompt x --cfg inf", "'inf' is not a number"),
        ("generate --prompt x --cfg=-5", "'-5' is not a number"),
        ("generate --prompt x --cfg 7,5", "'7,5' is not a number"),
        ("generate --prompt x --steps 0", "not a whole number from 1 to 1000"),
        ("generate --prompt x --count 0", "not a whole number from 1 to 10000"),
        ("generate --prompt x --count 1e3", "'1e3' is not a whole number"),
        ("generate --prompt x --size 100000x100000", "from 64 to 8192"),
        ("generate --prompt x --size 8192x8192", "megapixels"),
        ("demo --seed x", "--seed: 'x' is not a whole number"),
        ("ui --port 99999", "'99999' is not a whole number from 1 to 65535"),
        ("ui --units 11", "'11' is not a whole number from 1 to 10"),
        ("face save Anna a.png --weight nan", "'nan' is not a number from 0 to 10"),
    ],
)
def test_a_usage_error_is_two_lines_and_names_what_was_meant(
    arguments: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sentence in usage_error(capsys, *arguments.split())


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"sd-webui-faceid {__version__}\n")


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"seed": 2**64}, "seed"), ({"seed": -1}, "seed"), ({"seed": 1.0}, "seed"), ({"cfg": float("nan")}, "cfg"),
        ({"cfg": float("inf")}, "cfg"), ({"cfg": -5}, "cfg"), ({"steps": 0}, "steps"), ({"steps": 1001}, "steps"),
        ({"size_px": (0, 64)}, "size"), ({"size_px": (100_000, 100_000)}, "size"), ({"prompt": None}, "prompt"),
        ({"negative": 5}, "negative"),
    ],
)  # fmt: skip
def test_a_request_has_the_same_ranges_for_page_and_python(values: dict[str, object], name: str) -> None:
    with pytest.raises(UnitError, match=f"^{name} is "):
        Request(**{"prompt": "x", **values})  # pyright: ignore[reportArgumentType]


def test_the_largest_seed_and_the_pictures_after_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert Request("x", seed=2**64 - 1).seed == 2**64 - 1
    assert main(["generate", "--prompt", "x", "--person", "Anna", "--seed", str(2**64 - 1), "--count", "2"]) == 2
    assert "seed is 18446744073709551616" in capsys.readouterr().err


@pytest.fixture
def nothing_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_more: object) -> None:
        raise AssertionError("the work began")

    monkeypatch.setattr("lib_faceid.faces.analyser.load_face_analyser", refuse)
    monkeypatch.setattr("lib_faceid.app.resources.load_pipeline", refuse)


OUTPUTS = [
    ("face report a.png --sheet s.xyz", "s.xyz has not the ending of a picture"),
    ("face report a.png --sheet s", "s has not the ending"),
    ("face report a.png --sheet a.png", "a.png is one of the photos, and would be overwritten"),
    ("face report . --sheet a.png", "a.png is one of the photos"),
    ("face report a.png --sheet a.png/s.png", "cannot be written to"),
    ("face report a.png --sheet folder.png", "folder.png is a folder"),
    (f"face report a.png --sheet {'x' * 300}.png", "File name too long"),
    ("face find Zoë a.png --sheet s.pdf", "s.pdf has not the ending"),
    ("face crop a.png --out a.png", "cannot be written to"),
    ("face save Zoë a.png --faces faces", "already. Choose another name, or say --overwrite"),
    ("face save Anna a.png --faces a.png", "cannot be written to"),
    ("generate --prompt x --person Zoë --out a.png/out", "cannot be written to"),
    ("identity --photo a.png --out folder.png", "folder.png is a folder"),
    ("identity --photo a.png --out a.png/x.safetensors", "cannot be written to"),
    ("demo --out a.png", "cannot be written to"),
    ("miniature a.png/models", "cannot be written to"),
    ("ui --out a.png", "cannot be written to"),
    ("face export Zoë folder.png --faces faces", "folder.png is a folder"),
]


def written(folder: Path) -> list[Path]:
    """What lies there, but for other packages' caches."""
    return [path for path in folder.rglob("*") if "home" not in path.parts]


@pytest.mark.usefixtures("nothing_is_loaded", "library")
@pytest.mark.parametrize(("command", "sentence"), OUTPUTS, ids=[command[:40] for command, _ in OUTPUTS])
def test_outputs_are_tried_before_the_work(
    command: str, sentence: str, tmp_path: Path, data_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").write_bytes((data_folder / "photos" / "astronaut.png").read_bytes())
    (tmp_path / "folder.png").mkdir()
    before = {path: path.stat().st_size for path in written(tmp_path)}
    assert main(command.split()) == 2
    said = capsys.readouterr()
    assert sentence in said.err
    assert said.err.splitlines()[-1].startswith("Error: ")
    assert {path: path.stat().st_size for path in written(tmp_path)} == before


def test_the_trial_leaves_nothing_behind(tmp_path: Path) -> None:
    require_folder(tmp_path / "a" / "b")
    require_file(tmp_path / "c" / "d.png")
    (tmp_path / "there.png").write_bytes(b"content")
    require_file(tmp_path / "there.png")
    assert [path.name for path in tmp_path.rglob("*")] == ["there.png"]
    assert (tmp_path / "there.png").read_bytes() == b"content"
    with pytest.raises(FileError, match="cannot be written to"):
        require_file(Path("/proc/x.png"))


def test_a_table_is_printed_though_the_sheet_fails(
    face_models: Path, data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    photo, models = str(data_folder / "photos" / "astronaut.png"), ["--face-models", str(face_models)]
    assert main(["face", "report", photo, *models, "--sheet", "sheets/s.JPG"]) == 0
    assert (tmp_path / "sheets" / "s.JPG").read_bytes()[:2] == b"\xff\xd8"
    monkeypatch.setattr("PIL.Image.Image.save", lambda *_: (_ for _ in ()).throw(ValueError("too large")))
    capsys.readouterr()
    assert main(["face", "report", photo, *models, "--sheet", "s.png"]) == 2
    said = capsys.readouterr()
    assert "astronaut.png" in said.out
    assert "s.png cannot be written: too large" in said.err


def test_no_photo_that_can_be_read_is_no_success(
    face_models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.png").write_text("no picture")
    assert main(["face", "report", "x.png", "gone.png", "--face-models", str(face_models)]) == 2
    said = capsys.readouterr()
    assert "gone.png does not exist" in said.out
    assert said.err == "Error: None of the 2 photos can be read. What each lacks stands above.\n"


def test_names_that_nobody_has(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["face", "compare", "Zoe", "Zoë", "--faces", str(library)]) == 2
    assert "'Zoe' is no saved person and no file. Saved: Zoë, Ωμέγα 😀, 你好." in capsys.readouterr().err


def test_a_checkpoints_name_that_is_no_text_is_drawn_all_the_same() -> None:
    from lib_faceid.app.parameters import parameters_from, parameters_text

    text = parameters_text(Request("x"), (64, 64), os.fsdecode(b"caf\xe9"), {"FaceID 0": "adapter: \udcff"})
    assert text.encode()
    assert parameters_from(text)["Model"] == "caf\\udce9"


def test_a_port_that_is_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["ui", "--port", str(taken.getsockname()[1])]) == 2
    assert "is in use. Choose another one with --port N." in capsys.readouterr().err
