"""Writes an ONNX graph: the few messages of its protobuf that a feed-forward net needs.

By hand and not with the package `onnx`, because the manifest promises the SHA-256 of what is made:
the same input must give the same bytes whatever versions a builder has, which protobuf's own
serialiser does not promise. (And a fresh machine needs 30 MB less.) Field numbers: onnx.proto3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import numpy.typing as npt

OPSET = 17
IR_VERSION = 8


class Kind(IntEnum):
    """TensorProto.DataType."""

    FLOAT = 1
    UINT8 = 2
    INT64 = 7


Described = tuple[str, Kind, Sequence[int | str]]  # a value's name, kind and shape; a name stands for an open size


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(tag: int, value: int) -> bytes:
    return _varint(tag << 3) + _varint(value)


def _bytes(tag: int, value: bytes) -> bytes:
    return _varint(tag << 3 | 2) + _varint(len(value)) + value


def _text(tag: int, value: str) -> bytes:
    return _bytes(tag, value.encode())


def _ints_attribute(name: str, values: Sequence[int]) -> bytes:
    return _text(1, name) + b"".join(_number(8, value) for value in values) + _number(20, 7)


def _int_attribute(name: str, value: int) -> bytes:
    return _text(1, name) + _number(3, value) + _number(20, 2)


def _value(name: str, kind: Kind, shape: Sequence[int | str]) -> bytes:
    dims = b"".join(_bytes(1, _text(2, size) if isinstance(size, str) else _number(1, size)) for size in shape)
    return _text(1, name) + _bytes(2, _bytes(1, _number(1, kind) + _bytes(2, dims)))


@dataclass
class Graph:
    """A graph under construction: every method adds a node and returns the name of its output."""

    name: str
    _nodes: list[bytes] = field(default_factory=list)
    _weights: list[bytes] = field(default_factory=list)

    def constant(self, values: npt.ArrayLike, kind: Kind = Kind.FLOAT) -> str:
        array = np.ascontiguousarray(values, "<f4" if kind is Kind.FLOAT else "<i8")
        name = f"w{len(self._weights)}"
        dims = b"".join(_number(1, size) for size in array.shape)
        self._weights.append(dims + _number(2, kind) + _text(8, name) + _bytes(9, array.tobytes()))
        return name

    def node(self, kind: str, *inputs: str, output: str = "", **attributes: int | Sequence[int]) -> str:
        output = output or f"n{len(self._nodes)}"
        given = [
            _int_attribute(name, value) if isinstance(value, int) else _ints_attribute(name, value)
            for name, value in attributes.items()
        ]
        self._nodes.append(
            b"".join(_text(1, name) for name in inputs)
            + _text(2, output)
            + _text(3, f"{kind}_{len(self._nodes)}")
            + _text(4, kind)
            + b"".join(_bytes(5, attribute) for attribute in given)
        )
        return output

    def encode(self, given: Described, made: Described) -> bytes:
        """The file's bytes, for one input and one output."""
        graph = (
            b"".join(_bytes(1, node) for node in self._nodes)
            + _text(2, self.name)
            + b"".join(_bytes(5, weight) for weight in self._weights)
            + _bytes(11, _value(*given))
            + _bytes(12, _value(*made))
        )
        opset = _text(1, "") + _number(2, OPSET)
        return _number(1, IR_VERSION) + _text(2, "loumen") + _bytes(7, graph) + _bytes(8, opset)
