"""The HTTP routes: what they answer, who may ask, and that no request whatever makes them fail."""

from __future__ import annotations

import base64
import errno
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from secrets import compare_digest
from typing import Any

import pytest
import torch
from api_server import ColourAnalyser, Fixture, picture, told
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from PIL import Image

from lib_faceid.api import api
from lib_faceid.api.answers import Answers
from lib_faceid.api.api import PREFIX, add_routes, guards_of
from lib_faceid.api.routes import ROUTES
from lib_faceid.errors import FaceIDError
from lib_faceid.faces.analyser import load_face_analyser
from lib_faceid.inventory.check import check_setup
from lib_faceid.models.folders import Roots
from lib_faceid.pictures.requested import RequestPolicy
from lib_faceid.references import joining as references
from lib_faceid.references.identity import Identity
from lib_faceid.units.job_options import OPTIONS
from lib_faceid.units.schema import unit_schema
from lib_faceid.units.unit import FIELDS

BODIES = {"POST": [route.path for route in ROUTES if route.body], "all": [route.path for route in ROUTES]}


@pytest.fixture
def served() -> Fixture:
    references.forget_all()
    return Fixture()


ANNA = Identity(torch.ones(1, 512), recogniser=ColourAnalyser.recogniser)
PINK, BLUE, NOBODY = picture(), picture((10, 20, 250)), picture((0, 0, 0))

# -------------------------------------------------------------------------------------------------- what they answer


def test_the_version_and_the_schema(served: Fixture) -> None:
    assert served.get("/version") == {"api_version": 1, "algorithm": 1}
    schema = served.get("/schema")
    assert schema.pop("$schema").endswith("2020-12/schema")
    options = schema.pop("$defs")["job_options"]
    assert options["properties"]["best_of"]["maximum"] == 64
    assert list(options["properties"]) == list(OPTIONS)
    assert schema == unit_schema()


def test_the_state_of_the_machine(served: Fixture) -> None:
    status = served.get("/status")
    assert status["is_ready"] is False
    assert {row["status"] for row in status["rows"]} == {"missing"}
    assert served.get("/models") == {
        "adapters": [],
        "auto": {"SD 1.5": None, "SDXL": None},
        "auto_image": {"SD 1.5": None, "SDXL": None, "FLUX.1": None},
    }


def test_models_that_are_here(miniature_adapter: Callable[..., Path], tmp_path: Path, served: Fixture) -> None:
    source = miniature_adapter("faceid", "sd15")
    (tmp_path / "faceid").mkdir()
    (tmp_path / "faceid" / source.name).symlink_to(source)
    services = replace(served.services, setup=lambda: check_setup(Roots(models=(tmp_path,))))
    answer = Answers(services).models()
    assert [(one["name"], one["variant"], one["family"]) for one in answer["adapters"]] == [
        (source.name, "faceid", "SD 1.5")
    ]
    assert answer["auto"] == {"SD 1.5": source.name, "SDXL": None}


def test_faces_in_a_photo(served: Fixture) -> None:
    answer = served.post("/detect", {"image": PINK})
    (face,) = answer["faces"]
    assert (answer["size_px"], answer["message"]) == ([64, 64], "")
    assert (face["number"], face["is_largest"], face["score"], face["box"]) == (1, True, 0.9, [0, 0, 64, 64])
    assert face["report"]["verdict"] in ("good", "usable", "poor")
    assert Image.open(io.BytesIO(base64.b64decode(face["crop"]))).size == (224, 224)
    assert "crop" not in served.post("/detect", {"image": PINK, "crops": False})["faces"][0]


def test_nobody_in_a_photo_is_an_answer_with_a_reason(served: Fixture) -> None:
    answer = served.post("/detect", {"image": NOBODY})
    assert answer["faces"] == []
    assert "No face found in the photo (64x64 px" in answer["message"]


def test_a_person_from_photos_to_the_library_and_out_of_it(served: Fixture) -> None:
    saved = served.post(
        "/faces", {"name": "Anna", "images": [PINK, {"image": NOBODY, "weight": 2}], "combine": "median"}
    )
    assert [photo["is_used"] for photo in saved["photos"]] == [True, False]
    assert any("reference 2 was skipped" in message for message in saved["messages"])
    assert any("CLIP ViT-H is not here" in message for message in saved["messages"])
    assert served.get("/faces") == {"faces": ["Anna"], "images": []}
    assert served.post("/compare", {"first": {"person": "Anna"}, "second": PINK})["cosine"] == pytest.approx(
        1, abs=1e-4
    )
    assert served.post("/faces", {"name": "Anna", "image": BLUE}) == (
        422,
        "There is a saved person 'Anna' already. Choose another name, or overwrite it.",
    )
    served.post("/faces", {"name": "Anna", "image": BLUE, "overwrite": True})
    assert served.post("/compare", {"first": {"person": "Anna"}, "second": BLUE})["is_same_person"] is True
    assert served.delete("/faces/Anna") == {"deleted": "Anna"}
    assert served.delete("/faces/Anna") == (422, "There is no saved person 'Anna'. Saved: nobody.")


def test_a_name_is_made_harmless_and_said(served: Fixture) -> None:
    saved = served.post("/faces", {"name": "../../Anna: *the* second", "image": PINK})
    assert saved["name"] == served.get("/faces")["faces"][0] == "Anna- -the- second"
    assert [path.parent for path in served.people.folder.parent.rglob("*.safetensors")] == [served.people.folder]


def test_a_library_that_cannot_be_written_is_a_sentence(served: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/a/secret/path")

    monkeypatch.setattr("lib_faceid.people.library.save_reference", refuse)
    code, said = served.post("/faces", {"name": "Anna", "image": PINK})
    assert (code, said) == (422, "The library of people cannot be written: No space left on device. Check its folder.")


def test_two_people_are_compared(served: Fixture) -> None:
    answer = served.post("/compare", {"first": PINK, "second": {"image": BLUE, "face": "1"}})
    assert answer["is_same_person"] is False
    assert answer["cosine"] < answer["threshold"] == 0.3
    assert served.post("/compare", {"first": {"images": [PINK, PINK]}, "second": PINK})["is_same_person"] is True


def test_pictures_are_scored(served: Fixture) -> None:
    served.post("/faces", {"name": "Anna", "image": PINK})
    people = [{"person": "Anna"}, {"image": BLUE, "region": "box 0.9 0 1 0.1"}]
    pink, nobody = served.post("/score", {"images": [PINK, NOBODY], "people": people})["pictures"]
    assert [unit["unit"] for unit in pink["units"]] == [0, 1]
    assert pink["units"][0]["likeness"] == pytest.approx(1, abs=1e-3)
    assert pink["units"][0]["words"] == "", "that recogniser was not measured"
    assert pink["units"][1]["note"] == "FaceID 1: no face was found in its region."
    assert (pink["likeness"], nobody["faces"]) == (None, 0)
    assert served.post("/score", {"images": [PINK], "people": [PINK]})["pictures"][0]["likeness"] > 0.99


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"images": [PINK]}, "people must be a list of 1 to 10."),
        ({"images": [], "people": [PINK]}, "images must be a list of 1 to 64."),
        ({"images": [PINK], "people": [{"image": PINK, "region": "nowhere"}]}, "people[0]: region is 'nowhere'"),
        ({"images": [PINK], "people": [{"image": PINK, "region": "mask"}]}, "people[0]: region is 'mask'"),
        ({"images": [PINK], "people": [{}]}, "people[0] has neither of image and person"),
        ({"images": [PINK], "people": [PINK], "person": "x"}, "unknown field 'person'"),
    ],
)
def test_what_cannot_be_scored_is_a_sentence(served: Fixture, body: dict[str, Any], sentence: str) -> None:
    code, said = served.post("/score", body)
    assert code == 422
    assert sentence in said


def test_memory_is_freed(served: Fixture) -> None:
    assert served.post("/unload") == {"unloaded": True}
    assert served.unloaded == 1


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Type": "text/plain"}, "{}"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "a=b"),
        ({"Content-Type": "multipart/form-data; boundary=a"}, "--a--"),
        ({"Origin": "http://evil.example"}, ""),
        ({"Origin": "null"}, ""),
        ({"Sec-Fetch-Site": "cross-site"}, ""),
    ],
)
def test_a_page_of_another_origin_changes_nothing(served: Fixture, headers: dict[str, str], body: str) -> None:
    """What a browser sends for any page without asking the server first."""
    served.people.save("Anna", ANNA)
    for route in ROUTES:
        if route.method == "POST":
            response = served.client.post(PREFIX + route.path, headers=headers, content=body)
            assert told(response)[0] == 415, route.path
            assert "Content-Type: application/json" in told(response)[1]
    assert served.unloaded == 0
    assert served.people.names() == ("Anna",)


def test_a_route_without_fields_takes_an_empty_object_or_nothing(served: Fixture) -> None:
    for sent in ({"json": {}}, {}, {"headers": {"Content-Type": "application/json"}}):
        assert told(served.client.post(f"{PREFIX}/unload", **sent)) == {"unloaded": True}
    status, sentence = told(served.client.post(f"{PREFIX}/unload", json={"all": True}))
    assert (status, sentence) == (422, "unknown field 'all' (there are no fields)")
    assert served.unloaded == 3


def test_units_are_checked_without_drawing(served: Fixture) -> None:
    (unit,) = served.post("/check", {"units": [{"image": PINK, "weight": 0.5}]})["units"]
    assert list(unit) == list(FIELDS)
    assert (unit["enabled"], unit["images"], unit["weight"], unit["lora"]) == (True, 1, 0.5, 0.6)


# ------------------------------------------------------------------------------------------------- what they refuse


@pytest.mark.parametrize(
    ("path", "body", "sentence"),
    [
        ("/check", {"units": [{}, {"wieght": 1}]}, "Unit 1: unknown field 'wieght' (did you mean 'weight'?)"),
        ("/check", {"units": [{"weight": 9}]}, "Unit 0: weight is 9; a number from 0 to 2 was expected."),
        ("/check", {"units": [5]}, "Unit 0: it is of the type int; an object with fields of a unit was expected."),
        ("/check", {}, "units must be a list of up to 10 units."),
        ("/detect", {"imgae": PINK}, "unknown field 'imgae' (did you mean 'image'?)"),
        ("/detect", {}, "A picture is missing; a text was expected."),
        ("/detect", {"image": PINK, "crops": "no"}, "crops is of the type str; true or false was expected."),
        ("/detect", {"image": "/etc/passwd.png"}, "no files are read by request"),
        ("/detect", {"image": "http://127.0.0.1/a.png"}, "those are not fetched"),
        ("/detect", {"image": "AAAA"}, "is not a picture that can be read here"),
        ("/compare", {"first": PINK}, "second: it is missing; an object with fields of a unit was expected."),
        ("/compare", {"first": {}, "second": PINK}, "first has neither of image and person; one of them was expected."),
        ("/compare", {"first": {"image": PINK, "person": "A"}, "second": PINK}, "first has both of image and person"),
        ("/compare", {"first": NOBODY, "second": PINK}, "first: No face found in reference 1 of 1"),
        ("/compare", {"first": {"image": PINK, "face": "2"}, "second": PINK}, "first: There is no face 2"),
        (
            "/compare",
            {"first": {"image": PINK, "face": "left"}, "second": PINK},
            "first: face is 'left'; 'largest', the number",
        ),
        ("/compare", {"first": {"person": "X"}, "second": PINK}, "There is no saved person 'X'. Saved: nobody."),
        ("/faces", {"images": [PINK]}, "name is missing; a text was expected."),
        ("/faces", {"name": "Anna"}, "images is missing; one to 20 photos of one person were expected."),
        ("/faces", {"name": "Anna", "images": [PINK] * 21}, "up to 20 photos"),
        ("/faces", {"name": "Anna", "images": [5]}, "a photo is of the type int; base64 in a text was expected."),
        ("/faces", {"name": "Anna", "image": PINK, "weight": 1}, "unknown field 'weight'"),
        ("/faces", {"name": "Anna", "image": PINK, "combine": "sum"}, "one of average, median, tokens, concatenate"),
    ],
)
def test_a_wrong_request_gets_a_sentence(served: Fixture, path: str, body: Any, sentence: str) -> None:
    code, said = served.post(path, body)
    assert code == 422
    assert sentence in said


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The body is not JSON"),
        (b"{", "The body is not JSON"),
        (b"\xff\xfe", "The body is not JSON"),
        (b"[" * 100_000, "The body is not JSON"),
        (b"1" * 5000, "The body is"),
        (b"[1]", "The body is a list"),
        (b"null", "The body is a NoneType"),
    ],
)
def test_a_body_that_is_no_object_gets_a_sentence(served: Fixture, content: bytes, sentence: str) -> None:
    response = served.client.post(f"{PREFIX}/detect", content=content, headers={"Content-Type": "application/json"})
    code, said = told(response)
    assert code == 422
    assert sentence in said


@pytest.mark.parametrize("kind", [None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_what_a_foreign_page_can_send_unasked_is_refused(served: Fixture, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    body = json.dumps({"image": PINK}).encode()
    assert told(served.client.post(f"{PREFIX}/detect", content=body, headers=headers))[0] == 415


def test_large_bodies_are_refused_told_or_not(served: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "MAX_BODY_BYTES", 1000)
    read: list[int] = []

    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            read.append(100)
            yield b" " * 100

    headers = {"Content-Type": "application/json"}
    for content in (b" " * 2000, chunks()):
        assert told(served.client.post(f"{PREFIX}/detect", content=content, headers=headers))[0] == 413


def test_a_mistake_of_ours_shows_nothing_of_it(served: Fixture, caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("a secret path")

    served.analyser.search = fail
    code, said = served.post("/detect", {"image": picture((1, 2, 3))})
    assert (code, said) == (500, "That failed for a reason of our own. The console of the server says which.")
    assert "a secret path" in caplog.text


def test_half_a_character_is_sent_back_escaped(served: Fixture) -> None:
    content = b'{"units": [{"\\ud800": 1}]}'
    response = served.client.post(f"{PREFIX}/check", content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    assert "\\ud800" in response.text


def test_paths_only_where_the_policy_allows_them(served: Fixture, tmp_path: Path) -> None:
    (tmp_path / "anna.png").write_bytes(base64.b64decode(PINK))
    assert served.post("/detect", {"image": "anna.png"})[0] == 422
    served.policy = RequestPolicy(folder=tmp_path)
    assert len(served.post("/detect", {"image": "anna.png"})["faces"]) == 1
    assert served.post("/compare", {"first": "anna.png", "second": PINK})["cosine"] == 1
    assert served.post("/faces", {"name": "Anna", "images": ["anna.png"]})["name"] == "Anna"
    assert served.post("/detect", {"image": "../anna.png"})[0] == 422


# -------------------------------------------------------------------------------------------------- who may ask, docs


def test_every_route_asks_what_the_hosts_own_asks() -> None:
    """The host's class has the shape of the WebUI's `Api`: a bound method, given to each of its routes."""

    class Host:
        def auth(self, credentials: HTTPBasicCredentials = Depends(HTTPBasic())) -> bool:  # noqa: B008
            if compare_digest(credentials.username + credentials.password, "userpass"):
                return True
            raise HTTPException(401, "Incorrect username or password", {"WWW-Authenticate": "Basic"})

    host: Any = FastAPI()
    host.add_api_route("/sdapi/v1/txt2img", lambda: None, methods=["POST"], dependencies=[Depends(Host().auth)])
    host.add_api_route("/open", lambda: None)
    assert guards_of(host, "/sdapi/v1/none") is None
    assert guards_of(host, "/open") == []
    guards = guards_of(host, "/sdapi/v1/txt2img")
    assert guards
    guarded = Fixture(guards)
    guarded.people.save("Anna", ANNA)
    for route in ROUTES:
        url = PREFIX + route.path.format(name="Anna")
        for content, credentials in ((b"", None), (b"{}", ("user", "wrong")), (b" " * 10_000, None)):
            response = guarded.client.request(route.method, url, content=content, auth=credentials)
            assert response.status_code == 401, route.path  # before the body is looked at
    assert guarded.people.names() == ("Anna",)
    assert guarded.unloaded == 0
    assert guarded.get("/version", auth=("user", "pass"))["api_version"] == 1


def test_the_docs_page_shows_each_route_and_the_schema_of_a_unit(served: Fixture) -> None:
    told = served.client.get("/openapi.json").json()
    assert served.client.get("/docs").status_code == 200
    ours = {(path, method.upper()) for path, methods in told["paths"].items() for method in methods}
    assert ours == {(PREFIX + route.path, route.method) for route in ROUTES}
    body = told["paths"][f"{PREFIX}/check"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["properties"]["units"]["items"] == unit_schema()
    for methods in told["paths"].values():
        for route in methods.values():
            assert route["responses"]["422"]["content"]["application/json"]["schema"]["required"] == ["detail"]
            assert route["tags"] == ["IP-Adapter FaceID"]


def test_routes_are_added_once(served: Fixture) -> None:
    before = len(served.app.routes)
    add_routes(served.app, served.services)
    assert len(served.app.routes) == before


# -------------------------------------------------------------------------------------------- real photos, real models


def test_real_photos(data_folder: Path, face_models: Path, served: Fixture) -> None:
    served.analyser = load_face_analyser(face_models)
    photos = data_folder / "photos"
    first, second, other = (
        base64.b64encode((photos / name).read_bytes()).decode() for name in ("Paul.jpeg", "Paul2.jpeg", "Bryan.png")
    )
    assert served.post("/compare", {"first": first, "second": second})["cosine"] > 0.5
    assert served.post("/compare", {"first": first, "second": other})["is_same_person"] is False
    group = base64.b64encode((photos / "solvay_conference_1927.png").read_bytes()).decode()
    faces = served.post("/detect", {"image": group, "crops": False})["faces"]
    assert 27 <= len(faces) <= 31
    centres = [(face["box"][0] + face["box"][2]) / 2 for face in faces]
    assert [face["number"] for face in faces] == list(range(1, len(faces) + 1))
    assert centres == sorted(centres)
    assert sum(face["is_largest"] for face in faces) == 1


def test_every_error_of_ours_is_a_422(served: Fixture) -> None:
    def all_kinds(kind: type[FaceIDError]) -> Iterator[type[FaceIDError]]:
        yield kind
        for one in kind.__subclasses__():
            yield from all_kinds(one)

    for kind in all_kinds(FaceIDError):

        def fail(_: Any, kind: type[FaceIDError] = kind) -> Any:
            error = kind.__new__(kind)  # whatever else it is made of
            error.args = ("A sentence.",)
            raise error

        served.analyser.search = fail
        assert served.post("/detect", {"image": picture((1, 2, 4))}) == (422, "A sentence.")
