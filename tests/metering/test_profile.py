"""Profiles: what they decode, what they ask for, that they cannot write; and a file with ten mistakes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.interfaces import Function
from gateway.config.mistakes import ConfigMistakes
from gateway.errors import NotFound
from gateway.metering import profiles
from gateway.metering.profile import (
    WIDTHS,
    Profile,
    coarse_from,
    decode,
    encode,
    probe_span,
    proves,
    rolls_over_at,
    spans,
)
from gateway.metering.reading import Belief

NAMES = sorted(profiles.known())
SHIPPED = {name: profiles.load(name) for name in NAMES}
MILLILITRES = {"address": 0, "type": "u32", "millilitres": 1}
EXACT = [name for name in NAMES if not any(part.type == "f32" for part in SHIPPED[name].total)]


def test_the_shipped_profiles_differ_in_order_split_and_resolution() -> None:
    assert {"tuf-2000m", "dynaflox-ultrad", "usw-dn15-dn40", "xintai"} <= set(NAMES)
    assert {profile.words for profile in SHIPPED.values()} == {"high-first", "low-first"}
    assert {len(profile.total) for profile in SHIPPED.values()} == {1, 2}
    assert all(profile.source for profile in SHIPPED.values())


#: The makers' documents, to the register: wire address, type, unit, words (low or high first), bytes.
MAPS: dict[str, tuple[str, str, set[tuple[int, str, str]]]] = {
    "tuf-2000m": (
        "low-first",
        "high-first",
        {(8, "s32", "total"), (10, "f32", "total"), (0, "f32", "m3/h"), (4, "f32", "m/s"), (12, "s32", "m3")}
        | {(24, "s32", "m3"), (71, "u16", ""), (91, "u16", ""), (360, "f32", "probe")},
    ),
    "dynaflox-ultrad": (
        "high-first",
        "high-first",
        {(0, "s32", "L/h"), (2, "s32", "total"), (4, "s32", "total"), (6, "s32", "m3"), (8, "s32", "mL")}
        | {(10, "u32", "running"), (14, "u16", "V"), (16, "u16", "")},
    ),
    "usw-dn15-dn40": (
        "high-first",
        "high-first",
        {(0, "u64", "L"), (4, "u64", "total"), (0x0802, "u32", "L"), (0x0804, "u16", "")},
    ),
    "xintai": (
        "low-first",
        "low-first",
        {(1, "f32", "total"), (3, "f32", "m3"), (5, "f32", "m3/h"), (7, "flag", "empty_pipe"), (10, "f32", "")}
        | {(26, "f32", "V"), (28, "u16", "")},
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_map_is_the_document_s_to_the_register(name: str) -> None:
    profile = SHIPPED[name]
    found = {(part.address, str(part.type), "total") for part in profile.total}
    found |= {(value.address, str(value.type), value.unit) for value in profile.value.values()}
    found |= {(flag.address, "flag", flag.name) for flag in profile.flag}
    if profile.running is not None:
        found.add((profile.running.address, profile.running.type, "running"))
    if profile.probe is not None:
        found.add((profile.probe.address, profile.probe.type, "probe"))
    assert (profile.words, profile.bytes, found) == MAPS[name]


@pytest.mark.parametrize("name", NAMES)
def test_a_register_begins_again_where_its_format_ends(name: str) -> None:
    profile, end = SHIPPED[name], rolls_over_at(SHIPPED[name])
    assert end == {"tuf-2000m": 2**31 * 10**6, "dynaflox-ultrad": 2**31 * 10**6, "usw-dn15-dn40": 2**64}.get(name, 0)
    if 0 < end < 10**17:
        assert decode(profile, encode(profile, end - 500)).register == end - 500
        belief, _ = Belief(5_000_000, end, register=end - 500).judge(decode(profile, encode(profile, 400)), 60.0)
        assert (belief.register, belief.offset) == (400, end)


def test_a_float_grows_coarse_where_it_is_said_to() -> None:
    xintai = SHIPPED["xintai"]
    assert coarse_from(xintai) == 16_384_000.0
    assert decode(xintai, encode(xintai, 16_383_000_000)).step == 977
    assert decode(xintai, encode(xintai, 16_385_000_000)).step == 1954
    assert decode(xintai, encode(xintai, 16_384_001_000)).register == 16_384_001_953, "the litre is lost"
    assert [coarse_from(SHIPPED[name]) for name in NAMES if name != "xintai"] == [None] * 3
    advice = [finding for finding in profiles.advice(xintai) if finding.severity == "warning"]
    assert [(finding.path, finding.facts["cubic"]) for finding in advice] == [(("total", 0, "type"), "16,384")]


def test_a_register_cannot_begin_again_beyond_its_format() -> None:
    document = {"model": "m", "source": "s", "rolls_over_at": 5_000_000, "total": [MILLILITRES]}
    with pytest.raises(ConfigMistakes, match="end at 4294967 L already"):
        profiles.parse(document, "", Path("m.toml"))
    document["rolls_over_at"] = 100_000
    assert rolls_over_at(profiles.parse(document, "", Path("m.toml"))) == 100_000_000


def test_a_profile_has_nothing_to_write_with() -> None:
    assert {function.value for function in Function} == {3, 4}
    for profile in SHIPPED.values():
        assert all(span.function in (3, 4) for span in spans(profile, everything=True))


def test_words_and_bytes_in_every_order() -> None:
    tuf = SHIPPED["tuf-2000m"]  # 361.0 as f32 is 43B4 8000; the low word comes first
    assert proves(tuf, {360: 0x8000, 361: 0x43B4})
    assert not proves(tuf, {360: 0x43B4, 361: 0x8000})
    xintai = SHIPPED["xintai"]  # 1.5 as f32 is 3FC0 0000; bytes DCBA
    assert decode(xintai, {1: 0x0000, 2: 0xC03F, 7: 0xAA00}).register == 1_500_000


def test_a_poll_is_one_request_where_registers_are_contiguous() -> None:
    assert [(span.address, span.count) for span in spans(SHIPPED["tuf-2000m"])] == [(8, 4)]
    assert [(span.address, span.count) for span in spans(SHIPPED["dynaflox-ultrad"])] == [(2, 10)]
    assert len(spans(SHIPPED["dynaflox-ultrad"], everything=True)) == 1


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(EXACT), st.integers(0, 10**12))
def test_what_is_encoded_is_decoded_to_the_millilitre(name: str, millilitres: int) -> None:
    assert decode(SHIPPED[name], encode(SHIPPED[name], millilitres)).register == millilitres


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(NAMES), st.integers(0, 10**10))
def test_a_float_is_as_good_as_its_step_says(name: str, millilitres: int) -> None:
    found = decode(SHIPPED[name], encode(SHIPPED[name], millilitres))
    assert found.register is not None
    assert abs(found.register - millilitres) <= found.step


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(NAMES), st.data())
def test_whatever_the_registers_hold_is_a_total_or_a_reason(name: str, data: st.DataObject) -> None:
    profile = SHIPPED[name]
    addresses = [span.address + place for span in spans(profile, everything=True) for place in range(span.count)]
    words = data.draw(st.lists(st.integers(0, 0xFFFF), min_size=len(addresses), max_size=len(addresses)))
    found = decode(profile, dict(zip(addresses, words, strict=True)))
    assert (found.register is None) == bool(found.code)
    assert found.register is None or found.register >= 0
    assert found.step >= 1


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 300), st.sampled_from(sorted(WIDTHS))), min_size=1, max_size=12),
    st.integers(4, 125),
    st.integers(0, 20),
)
def test_requests_cover_what_is_wanted_and_never_ask_for_too_much(
    wanted: list[tuple[int, str]], most: int, bridge: int
) -> None:
    values = {f"v{n}": {"address": address, "type": kind} for n, (address, kind) in enumerate(wanted)}
    profile = profiles.parse(
        {
            "model": "m",
            "source": "s",
            "most_registers": most,
            "bridge": bridge,
            "total": [{"address": 500, "type": "u32", "millilitres": 1}],
            "value": values,
        },
        "",
        Path("m.toml"),
    )
    asked = [set(range(span.address, span.address + span.count)) for span in spans(profile, everything=True)]
    assert all(len(registers) <= most for registers in asked)
    for address, kind in wanted:
        assert any(set(range(address, address + WIDTHS[kind])) <= registers for registers in asked)


def test_ffff_everywhere_is_no_total() -> None:
    for profile in SHIPPED.values():
        found = decode(profile, dict.fromkeys(encode(profile, 0), 0xFFFF))
        assert (found.register, found.code) == (None, "ffff")


@pytest.mark.parametrize("kind", ["u32", "s32", "u64", "f32", "bcd32"])
def test_a_total_of_ffff_alone_is_none_whatever_else_is_read(kind: str) -> None:
    flag = {"name": "leak", "address": 9, "bit": 0}
    document = {"model": "m", "source": "s", "total": [{**MILLILITRES, "type": kind}], "flag": [flag]}
    profile = msgspec.convert(document, Profile)
    words = dict.fromkeys(range(WIDTHS[kind]), 65535) | {9: 0}
    assert decode(profile, words).code == "ffff"


def test_a_single_register_may_stand_at_its_last_count() -> None:
    flag = {"name": "leak", "address": 9, "bit": 0}
    document = {"model": "m", "source": "s", "total": [{**MILLILITRES, "type": "u16"}], "flag": [flag]}
    assert decode(msgspec.convert(document, Profile), {0: 0xFFFF, 9: 0}).register == 65535


def test_a_meter_of_another_model_is_no_tuf() -> None:
    span = probe_span(SHIPPED["tuf-2000m"])
    assert span is not None
    assert not proves(SHIPPED["tuf-2000m"], {360: 0, 361: 0})


TEN = """\
model = "x"
function = "write"
words = "middle"
most_registers = 1
answers_within = 0
[[total]]
address = 70000
type = "u33"
millilitres = 1
[[total]]
address = 5
type = "u32"
millilitres = -1
[[flag]]
name = "wet"
address = 1
[extra]
a = 1
"""


def test_ten_mistakes_at_once_each_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "ten.toml"
    path.write_text(TEN)
    with pytest.raises(ConfigMistakes) as caught:
        profiles.load_file(path)
    assert [(mistake.line, mistake.key) for mistake in caught.value.mistakes] == [
        (1, "source"),
        (2, "function"),
        (3, "words"),
        (5, "answers_within"),
        (7, "total[0].address"),
        (8, "total[0].type"),
        (12, "total[1].type"),
        (13, "total[1].millilitres"),
        (14, "flag[0].bit"),
        (15, "flag[0].name"),
        (17, "extra"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"model = ", "this is not TOML"),
        ("model = '表'".encode("gbk"), "not UTF-8"),
        (b"#" * 70_000, "larger than"),
        (b"baud = " + b"9" * 5000, "this is not TOML"),
        (b'model="m"\nsource="s"\ntotal=[]\n', "reads nothing"),
        (
            b'model="m"\nsource="s"\n[[total]]\naddress=0\ntype="u32"\nmillilitres=1\n'
            b'[[total]]\naddress=1\ntype="u16"\nmillilitres=1000\n',
            "register 1 is part 1 of the total already",
        ),
    ],
)
def test_files_that_are_no_profile(tmp_path: Path, text: bytes, words: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(text)
    with pytest.raises(ConfigMistakes) as caught:
        profiles.load_file(path)
    assert words in caught.value.render()


@pytest.mark.parametrize("endless", ["inf", "-inf", "nan", "1e-320", "1e308", "9" * 400])
@pytest.mark.parametrize(
    "line", ["rolls_over_at", "total[0].millilitres", "value.flow.scale", "running.scale", "probe.equals"]
)
def test_a_number_that_no_meter_has_is_a_mistake_and_no_end_of_the_daemon(
    tmp_path: Path, line: str, endless: str
) -> None:
    number = {"rolls_over_at": "1000", "total[0].millilitres": "1"} | {line: endless}
    path = tmp_path / "endless.toml"
    path.write_text(
        f"""\
model = "m"
source = "s"
rolls_over_at = {number["rolls_over_at"]}
[[total]]
address = 0
type = "u32"
millilitres = {number["total[0].millilitres"]}
[value.flow]
address = 2
type = "f64"
scale = {number.get("value.flow.scale", "1")}
[running]
address = 6
type = "u32"
scale = {number.get("running.scale", "1")}
[probe]
address = 8
type = "u16"
equals = {number.get("probe.equals", "1")}
"""
    )
    profile, said = profiles.examine(path)
    if profile is None:
        assert [mistake.key for mistake in said] == [line]
    else:
        assert endless == "1e-320", "as good as 0, where a 0 may stand"


def test_a_scale_of_nothing_is_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "still.toml"
    text = (profiles.shipped() / "dynaflox-ultrad.toml").read_text()
    path.write_text(text.replace("[running]", "[running]\nscale = 0", 1))
    _, said = profiles.examine(path)
    assert [mistake.key for mistake in said if mistake.severity == "error"] == ["running.scale"]


def test_a_value_beyond_every_number_is_left_out() -> None:
    document = {
        "model": "m",
        "source": "s",
        "total": [MILLILITRES],
        "value": {"flow": {"address": 2, "type": "f64", "scale": 1e12}},
    }
    profile = msgspec.convert(document, Profile)
    words = {0: 0, 1: 5, 2: 0x7FEF, 3: 0xFFFF, 4: 0xFFFF, 5: 0xFFFF}
    assert (decode(profile, words).register, decode(profile, words).values) == (5, {})


def test_a_folder_that_may_not_be_read_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="may not be read"):
        profiles.load("wm-15", str(tmp_path / "nowhere"))
    assert profiles.load("xintai", str(tmp_path / "nowhere")) == SHIPPED["xintai"]


def test_an_own_folder_hides_a_shipped_profile(tmp_path: Path) -> None:
    text = (profiles.shipped() / "xintai.toml").read_text().replace("Kaifeng Xintai", "Ours", 1)
    (tmp_path / "xintai.toml").write_text(text.replace('model = "Kaifeng Xintai"', 'model = "Ours"'))
    assert profiles.load("xintai", str(tmp_path)).model == "Ours"
    assert isinstance(profiles.load("tuf-2000m", str(tmp_path)), Profile)
