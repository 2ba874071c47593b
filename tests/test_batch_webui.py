"""The engine `webui`: requests as a WebUI takes them, and fleets in which many fail, hang, lie and come back."""

from __future__ import annotations

import base64
import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from batches import KNOWN, key_of
from fleet import TROUBLES, Pretended, fleet, png_of

from lib_faceid.batch.address import Address
from lib_faceid.batch.reading import Manifest
from lib_faceid.batch.running import Outcome, Run
from lib_faceid.batch.store import Store
from lib_faceid.batch.webui import WebUIEngine, body_of
from lib_faceid.batch.webui_known import known_there
from lib_faceid.batch.work import Rules
from lib_faceid.commands.cli import main
from lib_faceid.errors import HostError, UnitError
from lib_faceid.external import TITLE
from lib_faceid.units.script_args import units_from_args


def engine_of(urls: list[str], timeout: float = 0.4) -> WebUIEngine:
    return WebUIEngine([Address.of(url) for url in urls], timeout, first_wait=0.05, longest_wait=0.2, patience=20)


def draw(folder: Path, rows: int, engine: WebUIEngine) -> Outcome:
    folder.mkdir(exist_ok=True)
    file = folder / "m.csv"
    file.write_text("people,prompt,seeds\n" + "".join(f"Anna,picture {at},{at}\n" for at in range(rows)))
    store = Store(folder / "out")
    with store.held():
        return Run(Manifest(file, KNOWN), store, engine, key_of, Rules(attempts=engine.attempts)).run()


def are_all_there(folder: Path, rows: int) -> bool:
    """Whether each row has its own picture, whole, once."""
    found = [json.loads(path.read_text()) for path in (folder / "out" / "pictures").glob("*/*.json")]
    for one in found:
        png = (folder / "out" / "pictures" / one["key"][:2] / f"{one['key']}.png").read_bytes()
        assert png == png_of(one), "a picture of another row"
    return sorted(one["seed"] for one in found) == list(range(rows))


def unsteady(share: float, seed: int) -> Callable[[], str]:
    dice = random.Random(seed)
    return lambda: dice.choice(TROUBLES) if dice.random() < share else ""


def test_each_row_once_over_a_fleet_of_which_a_third_is_in_trouble(tmp_path: Path) -> None:
    """Twelve here; fifty and 10,000 rows: `python -m bench.batch fleet`."""
    played = [Pretended(0.001, unsteady(0.3, at), hang_seconds=0.6) for at in range(12)]
    with fleet(*played) as urls:
        outcome = draw(tmp_path, 250, engine_of(urls))
    assert (outcome.done, outcome.failed, outcome.left) == (250, 0, 0)
    assert are_all_there(tmp_path, 250)
    assert sum(one.requests for one in played) > 250 * 1.2, "there was trouble"
    assert max(one.most_at_once for one in played) <= 2, "one at a time, beside one that was given up"


def test_a_slow_one_does_not_hold_up_the_others(tmp_path: Path) -> None:
    quick, slow = [Pretended(0.04) for _ in range(7)], Pretended(0.2)
    with fleet(*quick, slow) as urls:
        began = time.monotonic()
        draw(tmp_path, 220, engine_of(urls, 30))
        seconds = time.monotonic() - began
    shares = [sum(one.answered.values()) for one in (*quick, slow)]
    assert shares[-1] < min(shares[:-1]) / 2.5, shares
    assert seconds < 5, "a fixed share of 220 / 8 pictures takes the slow one 5.5 s"


def test_one_that_fails_is_left_out_and_taken_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = iter(["500"] * 4)
    sick, well = Pretended(0.002, lambda: next(answers, "")), Pretended(0.02)
    with fleet(sick, well) as urls:
        outcome = draw(tmp_path, 60, engine_of(urls))
    said = capsys.readouterr().err
    assert outcome.done == 60
    assert f"{sick.url} is left out" in said.replace("localhost", "127.0.0.1")
    assert f"{sick.url} is back" in said
    assert sick.requests > 4
    assert sum(sick.answered.values()) > 5


def test_a_dead_one_costs_no_row(tmp_path: Path) -> None:
    with fleet(Pretended()) as urls:
        gone = urls[0]
    with fleet(Pretended(0.002)) as urls:
        assert draw(tmp_path, 30, engine_of([gone, *urls])).done == 30
    engine = engine_of([gone])
    engine.patience = 0.1
    with pytest.raises(HostError, match="No worker of webui is left"):
        draw(tmp_path / "none", 3, engine)


def test_a_wrong_row_is_a_failure_of_its_own(tmp_path: Path) -> None:
    one = Pretended()
    one.trouble = lambda: "422" if one.requests == 2 else ""
    with fleet(one) as urls:
        outcome = draw(tmp_path, 4, engine_of(urls))
    assert (outcome.done, outcome.failed, one.requests) == (3, 1, 4)
    assert "trouble 422" in (tmp_path / "out" / "failures.jsonl").read_text()


def test_the_request_is_what_the_api_takes(tmp_path: Path, data_folder: Path) -> None:
    photo = data_folder / "photos" / "astronaut.png"
    row = {"people": [[{"photos": [str(photo)], "region": "left"}, "Ben:0.6"]], "prompt": "x", "best_of": 4, "seeds": 9}
    (tmp_path / "m.jsonl").write_text(json.dumps(row))
    (picture,) = [one for asked in Manifest(tmp_path / "m.jsonl", KNOWN).asked() for one in asked.pictures()]
    one = Pretended()
    with fleet(one) as urls:
        Address.of(urls[0].replace("//", "//me:secret@")).ask("/sdapi/v1/txt2img", body_of(picture))
    body = one.last["body"]
    args = body["alwayson_scripts"][TITLE]["args"]
    first, second = units_from_args(args)
    assert base64.b64decode(first.images[0].image) == photo.read_bytes()
    assert (first.region, second.person, second.weight) == ("left", "Ben", 0.6)
    assert args[-1] == {"best_of": 4}
    assert (body["seed"], body["override_settings"]) == (9, {"sd_model_checkpoint": "one"})
    assert one.last["authorization"] == f"Basic {base64.b64encode(b'me:secret').decode()}"


def test_addresses() -> None:
    assert Address.of("https://a.example/sd/").name == "https://a.example:443/sd"
    assert "secret" not in Address.of("http://me:secret@a:1").name
    for wrong in ("", "a:7860", "ftp://a", "http://", "http://a:99999", "http://a?b=1"):
        with pytest.raises(UnitError):
            Address.of(wrong)


def test_what_a_webui_knows_is_what_may_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m.csv").write_text("people,prompt,adapter,checkpoint\nAnna,x,plus,one\nEve,x,plas,two\n")
    with fleet(Pretended()) as urls:
        known = known_there([Address.of("http://127.0.0.1:1"), Address.of(urls[0])])
        assert (known.checkpoint, known.checkpoints) == ("one", ("one",))
        assert main(["batch", "run", "m.csv", "--engine", "webui", "--url", urls[0]]) == 2
        said = capsys.readouterr()
        assert "row 3, column people" in said.out
        assert "row 3, column checkpoint: there is no checkpoint 'two'" in said.out
        Path("m.csv").write_text("people,prompt,seeds\nAnna,x,1-3\n")
        assert main(["batch", "run", "m.csv", "--engine", "webui", "--url", urls[0]]) == 0
    assert "3 pictures are there; 3 drawn now" in capsys.readouterr().out
    assert main(["batch", "run", "m.csv", "--engine", "webui"]) == 2
    assert "needs --url" in capsys.readouterr().err
    assert main(["batch", "run", "m.csv", "--engine", "webui", "--url", urls[0]]) == 2
    assert "No WebUI answers" in capsys.readouterr().err
