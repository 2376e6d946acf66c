"""Profiles: what they decode, what they ask for, that they cannot write; and a file with ten mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.interfaces import Function
from gateway.config.mistakes import ConfigMistakes
from gateway.metering import profiles
from gateway.metering.profile import WIDTHS, Profile, decode, encode, probe_span, proves, spans

NAMES = sorted(profiles.known())
SHIPPED = {name: profiles.load(name) for name in NAMES}
EXACT = [name for name in NAMES if not any(part.type == "f32" for part in SHIPPED[name].total)]


def test_the_shipped_profiles_differ_in_order_split_and_resolution() -> None:
    assert {"tuf-2000m", "dynaflox-ultrad", "usw-dn15-dn40", "xintai"} <= set(NAMES)
    assert {profile.words for profile in SHIPPED.values()} == {"high-first", "low-first"}
    assert {len(profile.total) for profile in SHIPPED.values()} == {1, 2}
    assert all(profile.source for profile in SHIPPED.values())


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


def test_an_own_folder_hides_a_shipped_profile(tmp_path: Path) -> None:
    text = (profiles.shipped() / "xintai.toml").read_text().replace("Kaifeng Xintai", "Ours", 1)
    (tmp_path / "xintai.toml").write_text(text.replace('model = "Kaifeng Xintai"', 'model = "Ours"'))
    assert profiles.load("xintai", str(tmp_path)).model == "Ours"
    assert isinstance(profiles.load("tuf-2000m", str(tmp_path)), Profile)
