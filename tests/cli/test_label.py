"""The sticker for a box, and how the network is told of it."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET

from gateway.cli.label import Label, service
from gateway.config.new import text
from tests.cli.run_cli import loumen


def label(folder: Path, *words: str, lang: str = "en_GB.UTF-8") -> str:
    config = folder / "gateway.toml"
    config.write_text(text("simulated", str(folder)))
    done = loumen("--config", str(config), "label", *words, home=folder, lang=lang)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_same_box_has_the_same_label(tmp_path: Path) -> None:
    first, second = (json.loads(label(tmp_path, "--json")) for _ in range(2))
    assert first == second
    assert (first["name"], first["site"]) == ("unit-1", "Community 1")
    qr = urlsplit(first["qr"])
    assert (qr.scheme, qr.path) == ("loumen", "box")
    assert parse_qs(qr.query)["id"] == [first["box"]]
    assert parse_qs(qr.query)["key"] == [first["fingerprint"].replace(" ", "")]


def test_it_is_the_fingerprint_that_enrol_shows(tmp_path: Path) -> None:
    told = json.loads(label(tmp_path, "--json"))
    config, request = tmp_path / "gateway.toml", tmp_path / "request.json"
    done = loumen("--config", str(config), "enrol", "--output", str(request), "--json", home=tmp_path)
    asked = json.loads(done.stdout)
    assert (asked["box"], asked["fingerprint"]) == (told["box"], told["fingerprint"])


def test_people_read_words_and_a_picture(tmp_path: Path) -> None:
    told = label(tmp_path)
    assert "fingerprint: " in told
    assert told.count("█") > 200
    assert "指纹" in label(tmp_path, lang="zh_CN.UTF-8")
    label(tmp_path, "--svg", str(tmp_path / "label.svg"))
    assert ET.parse(tmp_path / "label.svg").getroot().tag.endswith("svg")


def test_avahi_is_told_whatever_the_box_is_called() -> None:
    told = Label(box="id-1", name="<a> & b", site="", host="h.local", address="", fingerprint="ab cd", qr="")
    root = ET.fromstring(service(told).partition("?>")[2])
    assert root.findtext("service/type") == "_loumen._tcp"
    assert [record.text for record in root.iter("txt-record")] == ["id=id-1", "name=<a> & b", "key=abcd"]
