"""A meter's registers and what they mean: the type of `profiles/*.toml`, decoding, and what to ask for. Pure.

A profile reads. It has no function code to write with, because the type knows `holding` (3) and
`input` (4) only: on some meters writing a zero to a register zeroes the total.

Amounts are whole millilitres. Addresses are those on the wire, from 0 (many manuals count from 1).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

import msgspec

from drivers.interfaces import Function, Span

Kind = Literal["u16", "s16", "u32", "s32", "u64", "f32", "f64", "bcd32"]
Address = Annotated[int, msgspec.Meta(ge=0, le=65535)]
# TOML knows `inf` and `nan`: a number without both bounds would let them in.
Amount = Annotated[float, msgspec.Meta(ge=1e-6, le=1e12)]
Factor = Annotated[float, msgspec.Meta(ge=-1e12, le=1e12)]
Content = Annotated[float, msgspec.Meta(ge=-1e38, le=1e38)]
WIDTHS: dict[str, int] = {"u16": 1, "s16": 1, "u32": 2, "s32": 2, "u64": 4, "f32": 2, "f64": 4, "bcd32": 2}
_FORMATS = {"u16": ">H", "s16": ">h", "u32": ">I", "s32": ">i", "u64": ">Q", "f32": ">f", "f64": ">d"}
ENDS = {"u16": 1 << 16, "s16": 1 << 15, "u32": 1 << 32, "s32": 1 << 31, "u64": 1 << 64, "bcd32": 10**8}
MANTISSA = 24  # bits of a 32-bit float
FLOATS = frozenset({"f32", "f64"})
FUNCTIONS = {"holding": Function.HOLDING, "input": Function.INPUT}
ABSENT = 0xFFFF  # what many modules give while they have nothing
Registers = Mapping[int, int]


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The root of every table of a profile."""


class Number(Part, frozen=True, kw_only=True):
    """One part of the total: its count times `millilitres`. The whole part comes first, then its fraction."""

    address: Address
    type: Kind
    millilitres: Amount


class Value(Part, frozen=True, kw_only=True):
    """Another quantity, for `meter read`."""

    address: Address
    type: Kind
    scale: Factor = 1.0
    unit: str = ""


class Flag(Part, frozen=True, kw_only=True):
    """A state that the meter tells: a bit, or a value of a whole register."""

    name: Literal["empty_pipe", "battery_low", "leak", "burst", "reverse_flow", "tamper", "fault"]
    address: Address
    bit: Annotated[int, msgspec.Meta(ge=-1, le=15)] = -1
    equals: Annotated[int, msgspec.Meta(ge=-1, le=65535)] = -1


class Probe(Part, frozen=True, kw_only=True):
    """A register whose content is known: it proves the model and the order of the words."""

    address: Address
    type: Kind
    equals: Content


class Profile(Part, frozen=True, kw_only=True):
    """One model of meter."""

    model: str
    source: str  # the document that the map was taken from
    function: Literal["holding", "input"] = "holding"
    words: Literal["high-first", "low-first"] = "high-first"
    bytes: Literal["high-first", "low-first"] = "high-first"  # within a register
    most_registers: Annotated[int, msgspec.Meta(ge=1, le=125)] = 125  # in one request
    bridge: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0  # registers in between that may be read along
    answers_within: Annotated[float, msgspec.Meta(gt=0, le=10)] = 0.5  # seconds
    baud: Annotated[int, msgspec.Meta(ge=300, le=115200)] = 9600  # as delivered
    rolls_over_at: Annotated[float, msgspec.Meta(ge=0, le=1e15)] = 0.0  # litres; 0: where the format of the total ends
    note: str = ""  # for people, shown with every reading
    note_zh: str = ""
    total: tuple[Number, ...]
    running: Value | None = None  # seconds since power-up: stands still when the answers are stale
    value: dict[str, Value] = msgspec.field(default_factory=dict)
    flag: tuple[Flag, ...] = ()
    probe: Probe | None = None


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one look at a meter says. `register` is None where `code` says why (reasons.py)."""

    register: int | None
    step: int = 1  # the register's resolution, millilitres
    code: str = ""
    running: float | None = None
    flags: frozenset[str] = frozenset()
    values: Mapping[str, float] = field(default_factory=dict)


def spans(profile: Profile, *, everything: bool = False) -> tuple[Span, ...]:
    """The requests of one look: contiguous registers in one. A poll takes the total, the flags and the run time."""
    wanted = [(part.address, WIDTHS[part.type]) for part in profile.total]
    wanted += [(flag.address, 1) for flag in profile.flag]
    if profile.running is not None:
        wanted.append((profile.running.address, WIDTHS[profile.running.type]))
    if everything:
        wanted += [(value.address, WIDTHS[value.type]) for value in profile.value.values()]
    return _merged(profile, wanted)


def probe_span(profile: Profile) -> Span | None:
    """The request that proves the model."""
    if profile.probe is None:
        return None
    return Span(FUNCTIONS[profile.function], profile.probe.address, WIDTHS[profile.probe.type])


def _merged(profile: Profile, wanted: Iterable[tuple[int, int]]) -> tuple[Span, ...]:
    function = FUNCTIONS[profile.function]
    found: list[list[int]] = []
    for address, width in sorted(set(wanted)):
        end = address + width
        if found and address <= found[-1][1] + profile.bridge and end - found[-1][0] <= profile.most_registers:
            found[-1][1] = max(found[-1][1], end)
        else:
            found.append([address, end])
    return tuple(Span(function, begin, end - begin) for begin, end in found)


def number(profile: Profile, kind: str, address: int, registers: Registers) -> float | None:
    """One value; None where the registers hold none (not a number, a nibble above 9)."""
    words = [registers[address + place] & 0xFFFF for place in range(WIDTHS[kind])]
    if profile.words == "low-first":
        words.reverse()
    order: Literal["little", "big"] = "little" if profile.bytes == "low-first" else "big"
    data = b"".join(word.to_bytes(2, order) for word in words)
    if kind == "bcd32":
        digits = data.hex()
        return int(digits) if digits.isdecimal() else None
    value: float = struct.unpack(_FORMATS[kind], data)[0]
    return value if math.isfinite(value) else None


def is_absent(words: Collection[int]) -> bool:
    """Whether a module says that it has nothing."""
    return bool(words) and all(word == ABSENT for word in words)


def decode(profile: Profile, registers: Registers) -> Decoded:
    """What the registers of `spans` say. Never raises for a content, whatever it is."""
    if is_absent(registers.values()) or is_absent(_of_total(profile, registers)):
        return Decoded(None, code="ffff")
    amount = 0.0
    whole = 0  # integers stay exact beyond 2^53
    step = 1.0
    for place, part in enumerate(profile.total):
        value = number(profile, part.type, part.address, registers)
        if value is None:
            return Decoded(None, code="no_number")
        above = profile.total[place - 1].millilitres if place else math.inf
        if value < 0 or not value * part.millilitres < above or value * part.millilitres > 1e17:
            return Decoded(None, code="parts")
        if isinstance(value, int) and part.millilitres.is_integer():
            whole += value * int(part.millilitres)
        else:
            amount += value * part.millilitres
        step = _step(part, value)
    running = None if profile.running is None else _value(profile, profile.running, registers)
    flags = frozenset(flag.name for flag in profile.flag if _raised(flag, registers))
    values = {
        name: found
        for name, value in profile.value.items()
        if all(value.address + place in registers for place in range(WIDTHS[value.type]))
        and (found := _value(profile, value, registers)) is not None
    }
    return Decoded(whole + round(amount), max(1, math.ceil(step)), running=running, flags=flags, values=values)


def _of_total(profile: Profile, registers: Registers) -> list[int]:
    """The registers of the total; none where it is one alone, which may well stand at its last count."""
    words = [registers[part.address + place] for part in profile.total for place in range(WIDTHS[part.type])]
    return words if len(words) > 1 else []


def _step(part: Number, value: float) -> float:
    """The resolution of a part: one count, or what a float can tell apart at this size."""
    if part.type == "f32":
        return part.millilitres * 2.0 ** (math.frexp(value)[1] - MANTISSA)
    return 1.0 if part.type == "f64" else part.millilitres


def rolls_over_at(profile: Profile) -> int:
    """Where the register begins again, millilitres: as the document says, else where its format ends; 0: nowhere.

    The part that counts most decides; a float never rolls over, it grows coarse (`coarse_from`).
    """
    if profile.rolls_over_at:
        return round(profile.rolls_over_at * 1000)
    return format_ends_at(profile)


def format_ends_at(profile: Profile) -> int:
    """What the total's registers cannot hold any more, millilitres; 0 where floats hold it."""
    if not profile.total or profile.total[0].type in FLOATS:
        return 0
    return round(ENDS[profile.total[0].type] * profile.total[0].millilitres)


def coarse_from(profile: Profile) -> float | None:
    """From which total on (litres) a 32-bit float counts in steps of more than a litre; None: it never does."""
    if not profile.total or profile.total[-1].type != "f32":
        return None
    part = profile.total[-1]
    value = 2.0 ** (math.floor(math.log2(1000 / part.millilitres)) + MANTISSA)
    held = profile.total[-2].millilitres if len(profile.total) > 1 else math.inf
    return value * part.millilitres / 1000 if value * part.millilitres < held else None


def _value(profile: Profile, value: Value, registers: Registers) -> float | None:
    found = number(profile, value.type, value.address, registers)
    scaled = math.nan if found is None else found * value.scale
    return scaled if math.isfinite(scaled) else None


def _raised(flag: Flag, registers: Registers) -> bool:
    word = registers[flag.address]
    return bool(word >> flag.bit & 1) if flag.bit >= 0 else word == flag.equals


def proves(profile: Profile, registers: Registers) -> bool:
    """Whether the probe's registers are those of this model."""
    if profile.probe is None:
        return True
    found = number(profile, profile.probe.type, profile.probe.address, registers)
    return found is not None and math.isclose(found, profile.probe.equals, rel_tol=1e-5)


def encode(profile: Profile, millilitres: int, running: float = 0.0) -> dict[int, int]:
    """The registers of a meter that shows this total, everything else zero: for simulated meters and tests."""
    registers = {span.address + place: 0 for span in spans(profile, everything=True) for place in range(span.count)}
    rest = float(millilitres) if any(not part.millilitres.is_integer() for part in profile.total) else millilitres
    for part in profile.total:
        last = part is profile.total[-1]
        count = rest / part.millilitres if part.type in FLOATS and last else rest // part.millilitres
        if not last:
            rest -= count * part.millilitres
        registers |= _words(profile, part.type, part.address, count)
    if profile.running is not None:
        registers |= _words(profile, profile.running.type, profile.running.address, running)
    if profile.probe is not None:
        registers |= _words(profile, profile.probe.type, profile.probe.address, profile.probe.equals)
    return registers


def _words(profile: Profile, kind: str, address: int, value: float) -> dict[int, int]:
    if kind == "bcd32":
        data = bytes.fromhex(f"{int(value) % 10**8:08d}")
    elif kind in FLOATS:
        data = struct.pack(_FORMATS[kind], value)
    else:
        size = 2 * WIDTHS[kind]
        data = (int(value) % (1 << 8 * size)).to_bytes(size, "big")
    order: Literal["little", "big"] = "little" if profile.bytes == "low-first" else "big"
    words = [int.from_bytes(data[at : at + 2], order) for at in range(0, len(data), 2)]
    if profile.words == "low-first":
        words.reverse()
    return {address + place: word for place, word in enumerate(words)}
